"""A weight for every step, written out. No paper; InvokeAI's denoising node takes its CFG scale so."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from guidance.schedules.base import Schedule
from guidance.schedules.weights import Weight


class PerStep(Schedule):
    """The weights that you list, one for each step.

    As many as the sampler has steps, not fewer and not more; the default is as long as a sampler's default.
    """

    paper: ClassVar[str] = "no paper; after InvokeAI, whose CFG scale may be such a list"
    neutral: ClassVar[str] = "every weight 1 or null"
    off_by_step: ClassVar[bool] = True

    type: Literal["per_step"] = "per_step"
    weights: tuple[Weight | None, ...] = Field(
        (5.0,) * 30,
        min_length=1,
        max_length=250,
        description="first step first; null switches guidance off: the conditional prediction alone",
    )

    @property
    def length(self) -> int | None:
        return len(self.weights)

    def weight_at(self, index: int, count: int, sigma: float) -> float | None:
        return self.weights[index]
