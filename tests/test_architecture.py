"""The shape of the house: who imports whom, what the gateway may load, and that no method is left out of its union."""

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import guidance
from guidance.registry import UNIONS, members
from guidance.stage import Stage

ROOT = Path(__file__).parent.parent
PUBLIC = (
    *("README.md", "CHANGELOG.md", "LICENSE", "Makefile", "Dockerfile", "docker-compose.yml", "openapi.yaml"),
    *("pyproject.toml", "requirements.lock", ".ci/run", "docs/maths.md", "docs/settings.md", "docs/log.md"),
)


def in_a_fresh_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_floors_only_look_down() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "module", ["service.app", "jobs.store", "guidance.catalogue", "guidance.inversion", "guidance.plan", "cli.main"]
)
def test_imports_no_torch(module: str) -> None:
    in_a_fresh_python(
        f"import {module}, sys; loaded = {{'torch', 'diffusers'}} & set(sys.modules); assert not loaded, loaded"
    )


def test_the_command_line_starts_without_the_service() -> None:
    heavy = {"fastapi", "httpx", "numpy", "pydantic", "redis"}
    in_a_fresh_python(f"import cli.main, sys; loaded = {heavy} & set(sys.modules); assert not loaded, loaded")


def concrete(cls: type[Stage]) -> set[type[Stage]]:
    """Every subclass that a client could name: those that declare `type`."""
    own = {cls} if "type" in cls.model_fields else set()
    return own.union(*(concrete(sub) for sub in cls.__subclasses__()))


def test_every_method_is_registered_in_its_union() -> None:
    for module in pkgutil.walk_packages(guidance.__path__, "guidance."):
        if not module.name.startswith("guidance.models"):
            importlib.import_module(module.name)
    registered = {method for stage in UNIONS for method in members(stage)}
    ours = {method for method in concrete(Stage) if method.__module__.startswith("guidance.")}
    left_out = sorted(f"{method.__module__}.{method.__name__}" for method in ours - registered)
    assert not left_out, f"defined, but in no union of guidance/: {', '.join(left_out)}"


def test_every_method_is_one_file_named_after_its_type() -> None:
    for stage in UNIONS:
        for method in members(stage):
            assert method.__module__.rpartition(".")[2] == method.type_name(), method


@pytest.mark.parametrize("path", PUBLIC)
def test_public_file_exists(path: str) -> None:
    assert (ROOT / path).is_file()


def test_files_keep_to_one_noun() -> None:
    tracked = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    long = {name: count for name in tracked if (count := len((ROOT / name).read_text().splitlines())) > 300}
    assert not long, f"past 300 lines, two nouns in one file: {long}"
