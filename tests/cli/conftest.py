"""A whole service from `guidepost up`: started once, for every test that talks to one."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from cli.showcase import READY

Start = Callable[..., AbstractContextManager["Up"]]


@dataclass(frozen=True)
class Up:
    """A running `guidepost up`."""

    url: str
    process: subprocess.Popen[str]
    log: Path

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[Up]:
    log = folder / "up.log"
    argv = [sys.executable, "-m", "cli", "up", "--port", "0", "--data-dir", str(folder / "data"), *arguments]
    env = {**os.environ, "GUIDEPOST_MODELS": "gaussians,shapes", "GUIDEPOST_REDIS_URL": "", "PYTHONPATH": os.getcwd()}
    with (
        log.open("w") as lines,
        subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=lines, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            found = next((found for line in process.stdout if (found := READY.search(line))), None)
            assert found, log.read_text()
            yield Up(found[1], process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with started(tmp_path_factory.mktemp("up")) as running:
        yield running


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a service of its own: `with start("--workers", "0") as up:`."""
    return lambda *arguments: started(tmp_path, *arguments)
