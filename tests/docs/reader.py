"""Someone who reads a page and runs what it says, in a folder of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.docs.answer import misfit
from tests.docs.page import Example

ROOT = Path(__file__).parents[2]
SHOWN_URL = "http://127.0.0.1:8000"
PATIENCE_SECONDS = 120
COMMAND = f'guidepost() {{ "{sys.executable}" -m cli "$@"; }}\n'
"""The command line of this tree, whatever is installed."""


class Reader:
    """Blocks run one after another. `$ID` is the id in the last answer that is one resource, as the pages say."""

    def __init__(self, folder: Path, url: str, **environment: str) -> None:
        self.folder = folder
        self.url = url
        here = {"URL": url, "GUIDEPOST_URL": url, "ID": "", "PYTHONPATH": str(ROOT)}
        self.environment = os.environ | here | environment

    def follow(self, example: Example) -> str | None:
        """Run it; why what came of it is not what the page says, or None."""
        source = example.code.text.replace(SHOWN_URL, self.url)
        bash = example.code.language == "bash"
        done = subprocess.run(
            ["bash", "-euc", COMMAND + source] if bash else [sys.executable, "-c", source],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        if done.returncode:
            return f"exit status {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        self._remember(done.stdout)
        return misfit(example.answer.language, example.answer.text, done.stdout) if example.answer else None

    def _remember(self, output: str) -> None:
        """The id of the resource that was answered, for the blocks that follow."""
        body = re.sub(r"\AHTTP/.*?\n\n", "", output, flags=re.DOTALL)
        try:
            answer = json.loads(body)
        except ValueError:
            return
        if isinstance(answer, dict) and "id" in answer:
            self.environment["ID"] = answer["id"]
