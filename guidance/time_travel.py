"""Time travel: steps taken again from noise put back. Lugmayr et al. 2022, arXiv:2201.09865."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from guidance.noise import Level
from guidance.stage import Stage

if TYPE_CHECKING:
    from torch import Tensor


class TimeTravel(Stage):
    """Take each step of a window several times, noise put back in between: it settles to what guides it.

    From x' after a step: x = alpha / alpha' x' + sqrt(sigma^2 - (alpha / alpha')^2 sigma'^2) n; then the step again.
    RePaint's resampling, FreeDoM's time travel, universal guidance's self-recurrence.
    """

    paper: ClassVar[str] = "Lugmayr et al. 2022, arXiv:2201.09865; Yu et al. 2023, arXiv:2303.09833"
    neutral: ClassVar[str] = "repeats = 1"

    type: Literal["time_travel"] = "time_travel"
    repeats: int = Field(3, ge=1, le=32, description="times that a step of the window is taken")
    low: float = Field(0.3, ge=0, le=1, description="share of the model's time down to which steps are repeated")
    high: float = Field(0.8, ge=0, le=1, description="share of the model's time from which on they are")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low = {self.low} must be below high = {self.high}")
        return self

    def times(self, level: Level, train_timesteps: int) -> int:
        """How often the step that begins at `level` is taken."""
        return self.repeats if self.low * train_timesteps <= level.t <= self.high * train_timesteps else 1


def noised(x: Tensor, low: Level, high: Level, noise: Tensor) -> Tensor:
    """`x` at the level `low` taken up to `high` by the forward process. All (1, C, H, W)."""
    share = high.alpha / low.alpha
    return share * x + math.sqrt(max(high.sigma**2 - (share * low.sigma) ** 2, 0.0)) * noise
