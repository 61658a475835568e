"""The Dockerfile: what it installs and leaves out, and that what it copies is enough to run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.client import Service
from jobs.settings import Settings
from tests.deploy.image import ROOT, Image, images

GATEWAY, WORKER = images()["gateway"], images()["worker"]
BOTH = pytest.mark.parametrize("image", [GATEWAY, WORKER], ids=lambda image: image.target)
START = """\
import sys
folders, missing = sys.argv[1:3]
sys.path += folders.split(":")
sys.modules.update(dict.fromkeys(missing.split()))  # None: an import of it fails
del sys.argv[1:3]
from cli.main import app
app()
"""


@contextmanager
def running(folder: Path, settings: Settings, *command: str, without: str) -> Iterator[str]:
    """`guidepost` with our packages from the folder or not at all, and `without` some others; its first line."""
    ours = {"GUIDEPOST_REDIS_URL": settings.redis, "GUIDEPOST_DATA_DIR": str(settings.data_dir)}
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | ours
    folders = ":".join([str(folder), *(place for place in sys.path if place.endswith("site-packages"))])
    argv = [sys.executable, "-S", "-c", START, folders, without, *command]  # -S: not from an editable install either
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(argv, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            assert said, (folder / "log").read_text()
            yield said
        finally:
            process.terminate()
            process.wait(60)


def test_the_gateway_answers_with_what_its_image_holds_and_no_torch(tmp_path: Path, settings: Settings) -> None:
    GATEWAY.lay(tmp_path)
    with (
        running(tmp_path, settings, "serve", "--port", "0", without="torch diffusers transformers") as said,
        Service(said.split()[-1]) as gateway,
    ):
        assert gateway.answers("/livez", seconds=10)


def test_the_worker_loads_its_model_with_what_its_image_holds(tmp_path: Path, settings: Settings) -> None:
    WORKER.lay(tmp_path)
    with running(tmp_path, settings, "worker", "--concurrency", "1", without="fastapi") as said:
        assert "ready: shapes" in said


def test_the_builder_sees_what_is_copied_and_nothing_else() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    copied = {f"!{name}" for name in (*GATEWAY.copied, *WORKER.copied)}
    assert rules[0] == "*"
    assert {rule for rule in rules if rule.startswith("!")} == copied


@BOTH
def test_libraries_are_installed_before_any_source_is_there(image: Image) -> None:
    steps = [(step.word, step.text) for step in image.instructions]
    first = next(k for k, (word, text) in enumerate(steps) if word == "COPY" and text.startswith("LICENSE"))
    before = [text for word, text in steps[:first] if word == "COPY"]
    assert before == ["pyproject.toml requirements.lock ./"]
    [after] = [text for word, text in steps[first:] if word == "RUN"]
    assert after.startswith("pip install --no-deps --no-build-isolation -e .")


@BOTH
def test_every_install_keeps_to_the_lock(image: Image) -> None:
    installs = [part for text in image.of("RUN") for part in text.split(" && ") if part.startswith("pip install")]
    assert len(installs) >= 3
    for install in installs:
        assert "-c requirements.lock" in install or "--no-deps --no-build-isolation -e ." in install, install


@BOTH
def test_the_image_runs_as_nobody_of_note_on_a_pinned_base(image: Image) -> None:
    assert image.of("USER") == ["1000:1000"]
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", image.base)


@BOTH
def test_every_extra_that_is_installed_exists(image: Image) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {extra for found in re.findall(r"\.\[([a-z,]+)\]", " ".join(image.of("RUN"))) for extra in found.split(",")}
    assert "tracing" in named and named <= extras.keys()
    assert ("worker" in named) == (image.target == "worker")


@BOTH
def test_every_variable_is_a_setting_or_a_tools(image: Image) -> None:
    ours = {name for name in image.environment if name.startswith("GUIDEPOST_")}
    assert ours <= {f"GUIDEPOST_{name.upper()}" for name in Settings.model_fields}
    assert image.environment["GUIDEPOST_DATA_DIR"] == "/data"


def test_the_gateways_health_is_asked_where_it_listens() -> None:
    port = GATEWAY.environment["GUIDEPOST_PORT"]
    assert GATEWAY.of("EXPOSE") == [port]
    assert f"http://127.0.0.1:{port}/livez" in GATEWAY.health[-1]
    assert GATEWAY.environment["GUIDEPOST_HOST"] == "0.0.0.0"


def test_the_workers_health_is_its_own() -> None:
    assert WORKER.health == ["guidepost", "worker", "--check"]


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
