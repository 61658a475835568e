"""A child process: its lines are passed on under its name, and it ends when its parent does."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

PARENT = "GUIDEPOST_PARENT"
PR_SET_PDEATHSIG = 1  # Linux: the kernel sends this process a signal when its parent dies


def end_with_parent() -> None:
    """Called by a child at its start; does nothing in a process that no supervisor started."""
    parent = os.environ.pop(PARENT, None)
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        raise SystemExit("the process that started this one is gone")


class Child:
    """One process under a supervisor. It has its own process group, so that Ctrl-C reaches the supervisor alone."""

    def __init__(self, name: str, argv: Sequence[str], env: Mapping[str, str], *, pass_fds: Sequence[int] = ()) -> None:
        self.name = name
        # A line of JSON stays one: whoever reads them tells processes apart by their pid.
        self._prefix = "" if env.get("GUIDEPOST_LOG_FORMAT") == "json" else f"{name} | "
        self.process = subprocess.Popen(
            argv,
            env={**env, PARENT: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=tuple(pass_fds),
            process_group=0,
        )

    def watch(self, ended: Callable[["Child"], None]) -> None:
        """Pass its lines on from a thread of its own, then report its end."""
        threading.Thread(target=self._pass_on, args=(ended,), name=f"lines of {self.name}", daemon=True).start()

    def _pass_on(self, ended: Callable[["Child"], None]) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                sys.stderr.write(f"{self._prefix}{line.decode(errors='replace').rstrip()}\n")
                sys.stderr.flush()
        self.process.wait()
        ended(self)

    def terminate(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()

    def join(self, seconds: float) -> None:
        """Wait for its end; past the time it is killed."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def ending(status: int) -> str:
    """How a process ended, in words."""
    return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
