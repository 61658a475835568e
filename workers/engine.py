"""The batching engine: many trajectories of many requests, every outstanding branch in one forward.

A tick: admit what came in, drop what was canceled, evaluate every branch that a lane waits for, send the answers back.
Requests with different methods, schedules, solvers and step counts share a batch and join and leave between steps. The
engine knows no method by name, no RQ and no Redis.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

import torch

from guidance.models.base import Model
from guidance.protocol import Branch
from guidance.trajectory import Trajectory
from workers.batcher import Answer, Batcher, is_out_of_memory
from workers.encoder import Encoder
from workers.flight import Flight
from workers.lane import Lane
from workers.meter import Meter
from workers.task import Outcome, Task

log = logging.getLogger(__name__)

LOOK_TICKS = 8
"""How often it is looked whether samples are finite, besides at their end: on a GPU that waits for what is queued."""


@dataclass
class Stats:
    """Counters since the start. Seconds are wall time of ticks that had work."""

    ticks: int = 0
    busy_seconds: float = 0.0
    steps: int = 0
    """Sampler steps, of each image on its own."""
    checkpoint_seconds: float = 0.0
    """Of the busy ones, in which checkpoints were made."""


class Engine:
    """Runs tasks on one thread. `submit` and `stop` may be called from any thread."""

    def __init__(self, models: Mapping[str, Model], max_batch_rows: int = 16) -> None:
        self.models = models
        self.batcher = Batcher(max_batch_rows)
        self.stats = Stats()
        self.meter = Meter(models, self.batcher.room)
        self._encoder = Encoder()
        self._inbox: SimpleQueue[Task | None] = SimpleQueue()
        self._flights: list[Flight] = []
        self._stopping = False

    @property
    def flights(self) -> list[Flight]:
        """What runs, for other threads to look at."""
        return list(self._flights)

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
        self.stats.ticks += 1
        for flight in list(self._flights):
            self._look_after(flight)
        seconds = time.perf_counter() - began
        self.stats.busy_seconds += seconds
        self.meter.tick(wanted, [lane.trajectory for _, lane in waiting if lane.sample is not None], seconds)

    def _look_after(self, flight: Flight) -> None:
        """What becomes of a flight after its lanes have moved."""
        if self.stats.ticks % LOOK_TICKS == 0:
            flight.look()
        flight.report()
        if not flight.running:
            self._flights.remove(flight)
            flight.finish()
        elif flight.due():
            self._checkpoint(flight)

    def _checkpoint(self, flight: Flight) -> None:
        began = time.perf_counter()
        try:
            flight.checkpoint()
        except Exception:  # it is optional
            log.exception("task %s has no checkpoint", flight.task.id, extra=flight.task.labels)
        self.stats.checkpoint_seconds += time.perf_counter() - began

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
            self._flights.append(self._resumed(task) or Flight(task, self._lanes(task, [None] * task.request.n)))
        except Exception as error:
            log.exception("task %s could not start", task.id, extra=task.labels)
            task.updates.put(failure(error))

    def _resumed(self, task: Task) -> Flight | None:
        """The flight of a task that goes on from a checkpoint; None where there is none, or it does not fit."""
        if task.resumes is None:
            return None
        try:
            states = task.resumes.unpacked(self.models[task.request.model].device)
            return Flight(task, self._lanes(task, states))
        except Exception as error:
            log.warning("task %s begins anew, its checkpoint does not fit", task.id, exc_info=error, extra=task.labels)
            return None

    def _lanes(self, task: Task, states: Sequence[dict[str, Any] | None]) -> list[Lane]:
        """One for each image, from its state on; None is the beginning."""
        request = task.request
        model = self.models[request.model]
        conditions = self._encoder.conditions(model, request, self.models)
        source = self._encoder.source(model, request)
        assert request.seed is not None and request.width is not None and request.height is not None
        shape = model.shape(request.width, request.height)
        trajectories = [
            Trajectory(
                model, request.guidance, request.sampler, conditions, shape, seed, request.diagnostics, source=source
            )
            for seed in range(request.seed, request.seed + request.n)
        ]
        for trajectory, state in zip(trajectories, states, strict=True):
            if state is not None:
                trajectory.restore(state)
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
                self._checkpoint(flight)
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
    return Outcome("failed", reason="internal", detail=f"{type(error).__name__} while sampling; see the worker's log")
