"""The batching engine: many trajectories of many requests, every outstanding branch in one forward.

A tick: admit what came in, drop what was canceled, evaluate every branch that a lane waits for, send the answers back.
Requests with different methods, schedules, solvers and step counts share a batch and join and leave between steps. The
engine knows no method by name, no RQ and no Redis.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import torch

from guidance.models.base import Model
from guidance.protocol import Branch
from guidance.trajectory import Trajectory
from workers.batcher import Answer, Batcher, is_out_of_memory
from workers.encoder import Encoder
from workers.flight import Flight, NonFinite
from workers.lane import Lane
from workers.task import Outcome, Task

log = logging.getLogger(__name__)


@dataclass
class Stats:
    """Counters since the start. Seconds are wall time of ticks that had work."""

    ticks: int = 0
    busy_seconds: float = 0.0
    steps: int = 0
    """Sampler steps, of each image on its own."""


class Engine:
    """Runs tasks on one thread. `submit` and `stop` may be called from any thread."""

    def __init__(self, models: Mapping[str, Model], max_batch_rows: int = 16) -> None:
        self.models = models
        self.batcher = Batcher(max_batch_rows)
        self.stats = Stats()
        self._encoder = Encoder()
        self._inbox: SimpleQueue[Task | None] = SimpleQueue()
        self._flights: list[Flight] = []
        self._stopping = False

    def submit(self, task: Task) -> None:
        """Hand a task over; what becomes of it arrives in `task.updates`."""
        self._inbox.put(task)

    def stop(self) -> None:
        """Finish what is in flight, then end the loop."""
        self._inbox.put(None)

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self.run, name="engine", daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        """Tick until stopped and empty; sleep while there is nothing to do."""
        while self._flights or not self._stopping:
            self._admit(block=not self._flights)
            if self._flights:
                self.tick()

    @torch.no_grad()
    def tick(self) -> None:
        """One pass over every lane."""
        began = time.perf_counter()
        self._admit(block=False)
        self._drop_flagged()
        waiting = [(flight, lane) for flight in self._flights for lane in flight.running]
        wanted = [(self._asked(lane, branch), branch) for _, lane in waiting for branch in lane.wanted]
        answers = iter(self.batcher.evaluate(wanted))
        for flight, lane in waiting:
            self._deliver(flight, lane, [next(answers) for _ in lane.wanted])
        for flight in list(self._flights):
            flight.report()
            if not flight.running:
                self._flights.remove(flight)
                flight.succeed()
        self.stats.ticks += 1
        self.stats.busy_seconds += time.perf_counter() - began

    def _admit(self, block: bool) -> None:
        try:
            while True:
                task = self._inbox.get(block=block)
                block = False
                if task is None:
                    self._stopping = True
                else:
                    self._board(task)
        except Empty:
            return

    @torch.no_grad()
    def _board(self, task: Task) -> None:
        try:
            self._flights.append(Flight(task, self._lanes(task)))
        except Exception as error:
            log.exception("task %s could not start", task.id, extra=task.labels)
            task.updates.put(failure(error))

    def _lanes(self, task: Task) -> list[Lane]:
        request = task.request
        model = self.models[request.model]
        conditions = self._encoder.conditions(model, request, self.models)
        source = self._encoder.source(model, request)
        assert request.seed is not None and request.width is not None and request.height is not None
        shape = model.shape(request.width, request.height)
        trajectories = (
            Trajectory(
                model, request.guidance, request.sampler, conditions, shape, seed, request.diagnostics, source=source
            )
            for seed in range(request.seed, request.seed + request.n)
        )
        return [Lane(trajectory, index) for index, trajectory in enumerate(trajectories)]

    def _asked(self, lane: Lane, branch: Branch) -> Model:
        """The model that a branch is a question to."""
        other = branch.cond.model
        return lane.model if other is None else self.models[other.id]

    def _drop_flagged(self) -> None:
        now = time.monotonic()
        for flight in list(self._flights):
            if flight.task.canceled.is_set():
                self._end(flight, Outcome("canceled", reason="user"))
            elif flight.task.released.is_set():
                self._end(flight, Outcome("released"))
            elif flight.task.deadline is not None and now > flight.task.deadline:
                self._end(flight, Outcome("failed", reason="deadline", detail="the time allowed for running is over"))

    def _deliver(self, flight: Flight, lane: Lane, answers: list[Answer]) -> None:
        if flight not in self._flights:  # another lane of the same request has failed in this tick
            return
        for answer in answers:
            flight.count(answer.rows)
        before = lane.trajectory.steps_done
        try:
            lane.receive(answers)
            self.stats.steps += max(0, lane.trajectory.steps_done - before)  # time travel goes back
            flight.advanced(lane)
        except Exception as error:
            log.warning("task %s failed", flight.task.id, exc_info=error, extra=flight.task.labels)
            self._end(flight, failure(error))

    def _end(self, flight: Flight, outcome: Outcome) -> None:
        self._flights.remove(flight)
        flight.end(outcome)


def failure(error: Exception) -> Outcome:
    """How an error is reported to the client: a stable reason and, where it helps, a sentence."""
    if is_out_of_memory(error):
        return Outcome("failed", reason="out_of_memory", detail="the device had no room for one row of this request")
    if isinstance(error, NonFinite):
        return Outcome("failed", reason="non_finite", detail=str(error))
    return Outcome("failed", reason="internal", detail=f"{type(error).__name__} while sampling; see the worker's log")
