"""One trajectory inside the engine: its coroutine, and the branches it waits for."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from guidance.models.base import Model
from guidance.protocol import Branch, Run
from guidance.trajectory import Trajectory
from workers.batcher import Answer


class Lane:
    """Advances one image by a network reply at a time. `sample` is set when it has ended."""

    def __init__(self, trajectory: Trajectory, index: int) -> None:
        self.trajectory = trajectory
        self.index = index
        self.sample: Tensor | None = None
        self._run: Run = trajectory.run()
        self.wanted: list[Branch] = next(self._run)

    @property
    def model(self) -> Model:
        return self.trajectory.model

    def receive(self, answers: Sequence[Answer]) -> None:
        """Send the replies to `wanted` in. Raises what a branch failed with, thrown into this coroutine alone."""
        for answer in answers:
            if isinstance(answer.output, Exception):
                self._run.throw(answer.output)
            self.trajectory.cost.add(answer.seconds, answer.rows)
        try:
            self.wanted = self._run.send([answer.output for answer in answers])  # type: ignore[misc]
        except StopIteration as done:
            self.sample, self.wanted = done.value, []

    def close(self) -> None:
        self._run.close()
