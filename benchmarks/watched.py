"""A request on its way through an engine, with the moments at which it moved, by `time.perf_counter`."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from jobs.request import GenerationRequest
from workers.engine import Engine
from workers.task import Outcome, Progress, Task


class Stamped(SimpleQueue[Any]):
    """A task's updates. The engine's own thread writes the moments down, so no waking up is in them."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[int, float]] = []
        """(steps done, moment) of each report of progress."""
        self.ended = 0.0
        self.outcome: Outcome | None = None
        self.over = threading.Event()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        now = time.perf_counter()
        if isinstance(item, Progress):
            self.steps.append((item.step, now))
        elif isinstance(item, Outcome):
            self.outcome, self.ended = item, now
            self.over.set()
        super().put(item)  # last: who wakes up by it finds all that is above


@dataclass
class Watched:
    """One request. `submitted` is the moment at which the engine was given it."""

    request: GenerationRequest
    updates: Stamped = field(default_factory=Stamped)
    submitted: float = 0.0

    def __post_init__(self) -> None:
        self.task = Task("watched", self.request, updates=self.updates)

    def submit(self, engine: Engine) -> None:
        self.submitted = time.perf_counter()
        engine.submit(self.task)

    def cancel(self) -> float:
        """Ask it to end; the moment of that."""
        now = time.perf_counter()
        self.task.canceled.set()
        return now

    def reached(self, step: int) -> float:
        """The moment at which it had done so many steps. Waits for it; raises where it ends before."""
        while not (moments := [moment for done, moment in list(self.updates.steps) if done >= step]):
            if self.updates.over.is_set():
                raise RuntimeError(f"it ended before step {step}: {self.updates.outcome}")
            self.updates.get()
        return moments[0]

    def outcome(self) -> Outcome:
        """What became of it, once it has ended."""
        self.updates.over.wait()
        assert self.updates.outcome is not None
        return self.updates.outcome

    def succeeded(self) -> Outcome:
        """As `outcome`; raises where it did not."""
        if (outcome := self.outcome()).status != "succeeded":
            raise RuntimeError(f"{self.request.guidance}: {outcome.status}, {outcome.reason}, {outcome.detail}")
        return outcome

    @property
    def running(self) -> bool:
        return not self.updates.over.is_set()

    def ticks(self, since: float, until: float) -> list[float]:
        """Seconds of each of its steps that ended within."""
        moments = [moment for _, moment in list(self.updates.steps)]
        return [after - before for before, after in itertools.pairwise(moments) if since <= after <= until]
