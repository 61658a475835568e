"""What the processes of a test cluster run: the command line, as an operator does, and faults on demand.

They are forked from one process that has imported everything, since importing torch takes seconds of each.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import diffusers
import uvicorn  # noqa: F401

import service.app  # noqa: F401
import workers.main  # noqa: F401
from cli.main import app
from cli.process import PARENT
from guidance.models.gaussians import Gaussians
from guidance.protocol import Branch
from jobs.attempt import Attempt
from jobs.store import JobStore

ONE_STEP = ("DDIM", "DDPM", "EulerDiscrete", "EulerAncestralDiscrete", "HeunDiscrete")
MULTISTEP = ("DPMSolverMultistep", "LMSDiscrete", "UniPCMultistep")
for name in (*ONE_STEP, *MULTISTEP):
    getattr(diffusers, f"{name}Scheduler")  # imported when first asked for

CLONE_NEWNET = 0x40000000
Faults = Mapping[str, Sequence[float]]
"""By the name of a function below, with its arguments."""


def run(
    command: Sequence[str], env: Mapping[str, str], log: Path, said: Connection, faults: Faults, network: str | None
) -> None:
    """Be `guidepost COMMAND`: standard output goes to `said`, errors to `log`. In a network namespace of that name."""
    os.environ.update({**env, PARENT: str(os.getppid())})
    os.dup2(said.fileno(), 1)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    if network:
        _enter(network)
    for fault, arguments in faults.items():
        FAULTS[fault](*arguments)
    app(list(command), prog_name="guidepost")


def _enter(network: str) -> None:
    with open(f"/var/run/netns/{network}") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {network}")


def slow(per_forward: float, per_row: float) -> None:
    """The network takes so many seconds a forward and a row, and leaves the processor alone meanwhile."""
    evaluate = Gaussians.evaluate

    def evaluate_slowly(self: Gaussians, branches: Sequence[Branch]) -> list[object]:
        time.sleep(per_forward + per_row * len(branches))
        return evaluate(self, branches)  # type: ignore[return-value]

    Gaussians.evaluate = evaluate_slowly  # type: ignore[method-assign,assignment]


def poison(label: float) -> None:
    """A forward with a row of this label kills the process, as a driver might that a request brings down."""
    evaluate = Gaussians.evaluate

    def evaluate_or_die(self: Gaussians, branches: Sequence[Branch]) -> list[object]:
        if any(branch.cond.given["prior"][0][int(label)] == 1 for branch in branches):
            die()
        return evaluate(self, branches)  # type: ignore[return-value]

    Gaussians.evaluate = evaluate_or_die  # type: ignore[method-assign,assignment]


def popped() -> None:
    """The process dies when RQ has popped for the first time, before anything is claimed."""

    def claim(self: JobStore, *given: object) -> Attempt | int:
        die()
        raise AssertionError

    JobStore.claim = claim  # type: ignore[method-assign,assignment]


def claimed() -> None:
    """The process dies when it has claimed for the first time, before it knows what."""
    claim = JobStore.claim

    def claim_and_die(self: JobStore, *given: Any) -> Attempt | int:
        found = claim(self, *given)
        if isinstance(found, Attempt):
            die()
        return found

    JobStore.claim = claim_and_die  # type: ignore[method-assign,assignment]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


FAULTS: dict[str, Callable[..., None]] = {"slow": slow, "poison": poison, "popped": popped, "claimed": claimed}
