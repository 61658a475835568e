"""One request inside the engine: its lanes, what it tells its observer, and how it ends."""

from __future__ import annotations

import time
from dataclasses import replace

from guidance.checkpoint import Packed
from guidance.diagnostics import summary
from guidance.models.base import to_bytes
from workers.checkpoint import Checkpoint
from workers.lane import Lane
from workers.task import Image, Outcome, Preview, Progress, Task, Usage


class Flight:
    """The lanes of one request, one per image."""

    def __init__(self, task: Task, lanes: list[Lane]) -> None:
        self.task = task
        self.lanes = lanes
        self.began = time.perf_counter()
        self.images: dict[int, Image] = {}
        self._rows = self._batches = 0
        steps, previews = self.lanes[0].trajectory.plan.steps, task.request.output.previews
        self._preview_steps = {steps * (k + 1) // (previews + 1) for k in range(previews)} - {0, steps}
        self._previewed = {(lane.index, lane.trajectory.steps_done) for lane in lanes}  # by who made the checkpoint
        self._told = (-1, 0)
        self._checkpoint: Checkpoint | None = None
        self._checkpointed = time.monotonic()
        self.look()
        for lane in lanes:
            self.advanced(lane)

    @property
    def running(self) -> list[Lane]:
        return [lane for lane in self.lanes if lane.sample is None and not lane.lost]

    @property
    def lost(self) -> list[str]:
        """What was lost of its images, in words."""
        return [lane.lost for lane in self.lanes if lane.lost]

    def advanced(self, lane: Lane) -> None:
        """After a lane moved: finish its image or show its preview."""
        if lane.sample is not None:
            lane.look()
            if not lane.lost:
                self.images[lane.index] = finished(lane)
        elif (step := lane.trajectory.steps_done) in self._preview_steps and (lane.index, step) not in self._previewed:
            self._previewed.add((lane.index, step))
            guided = lane.trajectory.guided
            assert guided is not None
            self.task.updates.put(Preview(lane.index, step, to_bytes(lane.model.decode(guided.denoised))))

    def look(self) -> None:
        """Give up the images whose sample is not finite any more. Waits for the device."""
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
            self.task.updates.put(Progress(step, trajectories[0].plan.steps, done, total))

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
            self.task.updates.put(self._checkpoint)

    def count(self, rows: int) -> None:
        self._rows += rows
        self._batches += 1

    def finish(self) -> None:
        """End it after its last lane: a failure where an image was lost, with the images that were not."""
        images = tuple(self.images[index] for index in sorted(self.images))
        if self.lost:
            self.end(Outcome("failed", images, reason="non_finite", detail="; ".join(self.lost)))
        else:
            self.end(Outcome("succeeded", images))

    def end(self, outcome: Outcome) -> None:
        """However it ends, what it took is told."""
        for lane in self.lanes:
            lane.close()
        self.task.updates.put(replace(outcome, usage=self._usage()))

    def _usage(self) -> Usage:
        nfe = sum(lane.trajectory.nfe_done for lane in self.lanes)
        return Usage(nfe, time.perf_counter() - self.began, self._rows / max(self._batches, 1))


def finished(lane: Lane) -> Image:
    """Decode a lane's sample and gather its numbers and pictures: with checkpoints, the only transfers to the host."""
    assert lane.sample is not None
    trajectory = lane.trajectory
    columns = trajectory.diagnostics.columns()
    pixels = to_bytes(lane.model.decode(lane.sample))
    return Image(lane.index, trajectory.seed, pixels, columns, summary(columns), trajectory.diagnostics.pictures())
