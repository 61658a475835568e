"""One request inside the engine: its lanes, what it tells its observer, and how it ends."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from guidance.diagnostics import summary
from guidance.models.base import to_bytes
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
        self._previewed: set[tuple[int, int]] = set()
        self._told = (-1, 0)

    @property
    def running(self) -> list[Lane]:
        return [lane for lane in self.lanes if lane.sample is None]

    def advanced(self, lane: Lane) -> None:
        """After a lane moved: finish its image or show its preview."""
        if lane.sample is not None:
            self.images[lane.index] = finished(lane)
        elif (step := lane.trajectory.steps_done) in self._preview_steps and (lane.index, step) not in self._previewed:
            self._previewed.add((lane.index, step))
            guided = lane.trajectory.guided
            assert guided is not None
            self.task.updates.put(Preview(lane.index, step, to_bytes(lane.model.decode(guided.denoised))))

    def report(self) -> None:
        """Tell how far it is, when that changed."""
        trajectories = [lane.trajectory for lane in self.lanes]
        step = min(trajectory.steps_done for trajectory in trajectories)
        done = sum(trajectory.nfe_done for trajectory in trajectories)
        inverted = min(done, sum(trajectory.inversion_nfe for trajectory in trajectories))
        if (step, inverted) != self._told:
            self._told = (step, inverted)
            total = sum(trajectory.nfe_total for trajectory in trajectories)
            self.task.updates.put(Progress(step, trajectories[0].plan.steps, done, total))

    def count(self, rows: int) -> None:
        self._rows += rows
        self._batches += 1

    def succeed(self) -> None:
        self.end(Outcome("succeeded", tuple(self.images[index] for index in sorted(self.images))))

    def end(self, outcome: Outcome) -> None:
        """However it ends, what it took is told."""
        for lane in self.lanes:
            lane.close()
        self.task.updates.put(replace(outcome, usage=self._usage()))

    def _usage(self) -> Usage:
        nfe = sum(lane.trajectory.nfe_done for lane in self.lanes)
        return Usage(nfe, time.perf_counter() - self.began, self._rows / max(self._batches, 1))


class NonFinite(ArithmeticError):
    """A sample holds NaN or infinity."""


def finished(lane: Lane) -> Image:
    """Decode a lane's sample and gather its numbers and pictures: the trajectory's only transfers to the host."""
    assert lane.sample is not None
    trajectory = lane.trajectory
    columns = trajectory.diagnostics.columns()
    if not bool(torch.isfinite(lane.sample).all()):
        raise NonFinite(f"image {lane.index} (seed {trajectory.seed}) became NaN or infinite{_where(columns)}")
    pixels = to_bytes(lane.model.decode(lane.sample))
    return Image(lane.index, trajectory.seed, pixels, columns, summary(columns), trajectory.diagnostics.pictures())


def _where(columns: dict[str, list[float | None]]) -> str:
    norms = columns.get("guided_norm", [])
    return next((f" at step {columns['step'][k]:.0f}" for k, norm in enumerate(norms) if norm is None), "")
