"""A folder in which every client is generated, and the environment of the tools that do it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cli.docs import ROOT
from tests.clients.page import block

TOOLS = ROOT / ".cache" / "clients"
SCRIPTS = Path(__file__).parent / "scripts"
PATIENCE_SECONDS = 240
CLIENTS = {
    "openapi_generator": ("Python: openapi-generator", "python"),
    "openapi_python_client": ("Python: openapi-python-client", "python"),
    "typescript_fetch": ("TypeScript: openapi-generator, typescript-fetch", "typescript"),
    "openapi_typescript": ("TypeScript: openapi-typescript", "typescript"),
}
"""Name of each client -> its heading in clients/README.md, and its language there."""
STRICT = ("--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck", "false")


@dataclass(frozen=True)
class Workshop:
    """Holds openapi.json, the clients, and, as Python and compiled TypeScript, what the tests run of each."""

    folder: Path
    said: Mapping[str, str]
    """What each generator printed."""

    def run(self, *argv: str, **environment: str) -> str:
        return run(self.folder, *argv, **environment)

    def example(self, client: str, language: str | None = None) -> list[str]:
        """The command that runs the example of the page."""
        return self._command(f"{client}_example", language or CLIENTS[client][1])

    def script(self, client: str) -> list[str]:
        """The command that runs the test's own script."""
        return self._command(client, CLIENTS[client][1])

    def _command(self, name: str, language: str) -> list[str]:
        return ["python", f"{name}.py"] if language == "python" else ["node", f"{name}.js"]


def run(folder: Path, *argv: str, **environment: str) -> str:
    """What a command with the tools on its PATH prints; fails with what it said."""
    path = os.pathsep.join([str(TOOLS / "bin"), str(TOOLS / "node_modules" / ".bin"), os.environ["PATH"]])
    # One compiler less: these Javas live for seconds.
    ours = {"PATH": path, "JAVA_OPTS": "-XX:TieredStopAtLevel=1", "PYTHONPATH": f"{folder}:{folder}/guidepost-python"}
    done = subprocess.run(
        argv,
        cwd=folder,
        env=os.environ | ours | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}"
    return done.stdout


def furnish(folder: Path, document: str) -> Workshop:
    """Generate every client of the document by the commands on the page; check and compile all TypeScript there is."""
    assert (TOOLS / "installed").exists(), "the client generators are not installed: run `make clients`"
    (folder / "openapi.json").write_text(document)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(TOOLS / "node_modules")
    commands = [block(heading, "bash") for heading, _ in CLIENTS.values()]
    with ThreadPoolExecutor(os.cpu_count()) as generators:
        said = list(generators.map(lambda command: run(folder, "bash", "-ec", command), commands))
    for name, text in _sources():
        (folder / name).write_text(text)
    run(folder, "tsc", *STRICT, *sorted(path.name for path in folder.glob("*.ts")))
    return Workshop(folder, dict(zip(CLIENTS, said, strict=True)))


def _sources() -> Iterator[tuple[str, str]]:
    suffix = {"python": "py", "typescript": "ts"}
    for client, (heading, language) in CLIENTS.items():
        yield f"{client}_example.{suffix[language]}", block(heading, language)
    for language in suffix:
        yield f"events_example.{suffix[language]}", block("Events", language)
    for path in SCRIPTS.iterdir():
        if path.is_file():
            yield path.name, path.read_text()
