"""One request inside the engine: its lanes, what it tells its observer, and how it ends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from torch import Tensor

from guidance.checkpoint import Packed
from guidance.diagnostics import summary
from workers.batcher import is_out_of_memory
from workers.checkpoint import Checkpoint
from workers.decoder import Decoder, Wanted
from workers.lane import Lane
from workers.task import Image, Outcome, Pixels, Preview, Progress, Task, Usage

log = logging.getLogger(__name__)


class Flight:
    """The lanes of one request, one per image. The engine's thread moves it, the decoder's brings its pictures."""

    def __init__(self, task: Task, lanes: list[Lane], decoder: Decoder) -> None:
        self.task = task
        self.lanes = lanes
        self.began = time.perf_counter()
        self.images: dict[int, Image] = {}
        self._decoder = decoder
        self._rows = self._batches = 0
        steps, previews = self.lanes[0].trajectory.plan.steps, task.request.output.previews
        self._preview_steps = {steps * (k + 1) // (previews + 1) for k in range(previews)} - {0, steps}
        self._previewed = {(lane.index, lane.trajectory.steps_done) for lane in lanes}  # by who made the checkpoint
        self._told = (-1, 0)
        self._checkpoint: Checkpoint | None = None
        self._checkpointed = time.monotonic()
        self._lock = threading.Lock()
        self.over = False
        """Its outcome is told."""

    @property
    def running(self) -> list[Lane]:
        return [lane for lane in self.lanes if lane.sample is None and not lane.lost]

    @property
    def lost(self) -> list[str]:
        """What was lost of its images, in words."""
        return [lane.lost for lane in self.lanes if lane.lost]

    def take_off(self) -> None:
        """In the engine's thread, before the first tick: what a checkpoint holds may be lost or done already."""
        for lane in self.lanes:
            lane.settle()
            self.advanced(lane)

    def advanced(self, lane: Lane) -> None:
        """After a lane moved: have its image or its preview made."""
        if lane.lost:
            return
        if lane.sample is not None:
            self._decode(lane, lane.sample, partial(self._finished, lane))
        elif (step := lane.trajectory.steps_done) in self._preview_steps and (lane.index, step) not in self._previewed:
            self._previewed.add((lane.index, step))
            guided = lane.trajectory.guided
            assert guided is not None
            self._decode(lane, guided.denoised, lambda pixels: self._tell(Preview(lane.index, step, pixels)))

    def _decode(self, lane: Lane, sample: Tensor, done: Callable[[Pixels], None]) -> None:
        self._decoder.put(Wanted(lane.model, sample, done, self._failed))

    def _failed(self, error: Exception) -> None:
        log.warning("task %s failed", self.task.id, exc_info=error, extra=self.task.labels)
        self.end(failure(error))

    def _finished(self, lane: Lane, pixels: Pixels) -> None:
        """Gather a lane's numbers and pictures: with checkpoints, the only transfers of theirs to the host."""
        lane.settle()
        if lane.lost:
            return
        trajectory = lane.trajectory
        columns, pictures = trajectory.diagnostics.columns(), trajectory.diagnostics.pictures()
        self.images[lane.index] = Image(lane.index, trajectory.seed, pixels, columns, summary(columns), pictures)

    def look(self) -> None:
        """Give up the images whose sample was not finite any more at the look before. Waits for nothing."""
        for lane in self.running:
            lane.look()

    def report(self) -> None:
        """Tell how far it is, when that changed."""
        trajectories = [lane.trajectory for lane in self.lanes if not lane.lost]
        if not trajectories:
            return
        given_up = sum(lane.trajectory.nfe_done for lane in self.lanes if lane.lost)
        step = min(trajectory.steps_done for trajectory in trajectories)
        done = sum(lane.trajectory.nfe_done for lane in self.lanes)
        inverted = min(done, sum(trajectory.inversion_nfe for trajectory in trajectories))
        if (step, inverted) != self._told:
            self._told = (step, inverted)
            total = given_up + sum(trajectory.nfe_total for trajectory in trajectories)
            self._tell(Progress(step, trajectories[0].plan.steps, done, total))

    def due(self) -> bool:
        """Whether it is time for a checkpoint, and the one before is written down."""
        task, written = self.task, self._checkpoint is None or self._checkpoint.taken.is_set()
        return written and 0 < task.checkpoint_seconds <= time.monotonic() - self._checkpointed

    def checkpoint(self) -> None:
        """Tell where it stands, if it is anywhere yet. Moves that to the host."""
        self._checkpointed = time.monotonic()
        states = [lane.trajectory.state() for lane in self.lanes]
        if not self.task.checkpoint_seconds or not any(states):
            return
        packed = Packed.of(states)
        if packed.size <= self.task.checkpoint_bytes:
            self._checkpoint = Checkpoint(packed)
            self._tell(self._checkpoint)

    def count(self, rows: int) -> None:
        self._rows += rows
        self._batches += 1

    def land(self) -> None:
        """After its last lane: end it once its images are decoded. With those there are, where one was lost."""
        self._decoder.put(self._finish)

    def _finish(self) -> None:
        images = tuple(self.images[index] for index in sorted(self.images))
        if self.lost:
            self.end(Outcome("failed", images, reason="non_finite", detail="; ".join(self.lost)))
        else:
            self.end(Outcome("succeeded", images))

    def end(self, outcome: Outcome) -> None:
        """However it ends first, what it took is told; what comes later is not."""
        self._tell(replace(outcome, usage=self._usage()), last=True)

    def close(self) -> None:
        """In the engine's thread, when no lane of it moves any more."""
        for lane in self.lanes:
            lane.close()

    def _tell(self, update: Progress | Preview | Checkpoint | Outcome, last: bool = False) -> None:
        with self._lock:
            if not self.over:
                self.over = last
                self.task.updates.put(update)

    def _usage(self) -> Usage:
        nfe = sum(lane.trajectory.nfe_done for lane in self.lanes)
        return Usage(nfe, time.perf_counter() - self.began, self._rows / max(self._batches, 1))


def failure(error: Exception) -> Outcome:
    """How an error is reported to the client: a stable reason and, where it helps, a sentence."""
    if is_out_of_memory(error):
        return Outcome("failed", reason="out_of_memory", detail="the device had no room for one row of this request")
    return Outcome("failed", reason="internal", detail=f"{type(error).__name__} while sampling; see the worker's log")
