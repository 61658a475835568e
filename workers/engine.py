"""The batching engine: many trajectories of many requests, their outstanding branches in one forward.

A tick: admit what came in, drop what was canceled, evaluate the branches that lanes wait for, send the answers back.
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

import torch

from guidance.models.base import Model
from guidance.protocol import Branch
from workers.batcher import Answer, Batcher
from workers.boarding import Boarding
from workers.decoder import Decoder
from workers.flight import Flight, failure
from workers.lane import Lane
from workers.lead import Lead
from workers.meter import Meter
from workers.task import Outcome, Task
from workers.turns import Waiting, going

log = logging.getLogger(__name__)

BOARDING_SECONDS = 0.01
"""How long a tick waits at most for a request that is being prepared: less than that one would wait for the next."""
LOOK_TICKS = 4
"""How often it is asked whether samples are finite; the answer is read as much later, when the device has given it."""


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
        self._decoder = Decoder(self.meter.decoded)
        self._boarding = Boarding(models, self._decoder)
        self._lead = Lead({model.device for model in models.values()})
        self._inbox: SimpleQueue[Flight | None] = SimpleQueue()
        self._flights: list[Flight] = []
        self._stopping = False

    @property
    def flights(self) -> list[Flight]:
        """What runs, for other threads to look at."""
        return list(self._flights)

    def submit(self, task: Task) -> None:
        """Prepare a task in this thread and hand it over; what becomes of it arrives in `task.updates`."""
        try:
            self._boarding.board(task, self._inbox.put)
        except Exception as error:
            log.exception("task %s could not start", task.id, extra=task.labels)
            task.updates.put(failure(error))

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
        self._decoder.close()

    @torch.no_grad()
    def tick(self) -> None:
        """One pass over as many lanes as have room."""
        arrived = time.perf_counter()
        self._lead.wait()
        began = time.perf_counter()
        self._boarding.wait(BOARDING_SECONDS)
        self._admit(block=False)
        self._drop_flagged()
        waiting = [(flight, lane) for flight in self._flights for lane in flight.running]
        turn = going(waiting, self.batcher.room.rows, self.stats.ticks)
        wanted = [(self._asked(lane, branch), branch) for _, lane in turn for branch in lane.wanted]
        answers = iter(self.batcher.evaluate(wanted))
        for flight, lane in turn:
            lane.served = self.stats.ticks
            self._deliver(flight, lane, [next(answers) for _ in lane.wanted])
        self._lead.mark()
        self.stats.ticks += 1
        for flight in list(self._flights):
            self._look_after(flight)
        ended = time.perf_counter()
        self.stats.busy_seconds += ended - began
        self._measure(wanted, turn, ended - arrived)

    def _measure(self, wanted: Sequence[tuple[Model, Branch]], turn: Sequence[Waiting], seconds: float) -> None:
        try:
            self.meter.tick(wanted, [lane.trajectory for _, lane in turn if lane.sample is not None], seconds)
        except Exception:  # what is predicted is worth less than what runs
            log.exception("a tick was not measured")

    def _look_after(self, flight: Flight) -> None:
        """What becomes of a flight after its lanes have moved."""
        if self.stats.ticks % LOOK_TICKS == 0:
            flight.look()
        flight.report()
        if not flight.running:
            self._flights.remove(flight)
            flight.close()
            flight.land()
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
                flight = self._inbox.get(block=block)
                block = False
                if flight is None:
                    self._stopping = True
                else:
                    self._flights.append(flight)
                    flight.take_off()
        except Empty:
            return

    def _asked(self, lane: Lane, branch: Branch) -> Model:
        """The model that a branch is a question to."""
        other = branch.cond.model
        return lane.model if other is None else self.models[other.id]

    def _drop_flagged(self) -> None:
        now = time.monotonic()
        for flight in list(self._flights):
            if flight.over:  # a picture of it could not be made
                self._drop(flight)
            elif flight.task.canceled.is_set():
                self._drop(flight, Outcome("canceled", reason="user"))
            elif flight.task.released.is_set():
                self._checkpoint(flight)
                self._drop(flight, Outcome("released"))
            elif flight.task.deadline is not None and now > flight.task.deadline:
                self._drop(flight, Outcome("failed", reason="deadline", detail="the time allowed for running is over"))

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
            self._drop(flight, failure(error))

    def _drop(self, flight: Flight, outcome: Outcome | None = None) -> None:
        self._flights.remove(flight)
        flight.close()
        if outcome is not None:
            flight.end(outcome)
