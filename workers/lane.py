"""One trajectory inside the engine: its coroutine, and the branches it waits for."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from guidance.models.base import Model
from guidance.protocol import Branch, Run
from guidance.trajectory import Seen, Trajectory
from workers.batcher import Answer

NEVER = -1


class Lane:
    """Advances one image by a network reply at a time.

    `sample` is set when it has ended; so it is at once where the trajectory was restored at its end.
    """

    def __init__(self, trajectory: Trajectory, index: int) -> None:
        self.trajectory = trajectory
        self.index = index
        self.sample: Tensor | None = None
        self.lost: str | None = None
        """Why it cannot go on, while the other images of its request do."""
        self.served = NEVER
        """The tick in which it was last answered."""
        self._seen = trajectory.seen()
        self._run: Run = trajectory.run()
        self.wanted: list[Branch] = []
        self._advance(None)

    @property
    def model(self) -> Model:
        return self.trajectory.model

    def receive(self, answers: Sequence[Answer]) -> None:
        """Send the replies to `wanted` in. Raises what a branch failed with, thrown into this coroutine alone."""
        for answer in answers:
            if isinstance(answer.output, Exception):
                self._run.throw(answer.output)
            self.trajectory.cost.add(answer.seconds, answer.rows)
        self._advance([answer.output for answer in answers])  # type: ignore[misc]

    def look(self) -> None:
        """Give it up if its sample was NaN or infinite at the look before, whose answer the device has sent since."""
        before, self._seen = self._seen, self.trajectory.seen()
        self._give_up_if_lost(before)

    def settle(self) -> None:
        """The same as of now. Waits for the device."""
        self._give_up_if_lost((self.trajectory.calls_done, self.trajectory.finite))

    def _give_up_if_lost(self, seen: Seen) -> None:
        if (step := self.trajectory.lost_at(seen)) is not None:
            self.lost = f"image {self.index} (seed {self.trajectory.seed}) became NaN or infinite at step {step}"
            self.close()

    def _advance(self, outputs: list[Tensor] | None) -> None:
        try:
            self.wanted = self._run.send(outputs)  # type: ignore[arg-type]
        except StopIteration as done:
            self.sample, self.wanted = done.value, []

    def close(self) -> None:
        self._run.close()
