"""The weight as the density of a Beta distribution: beta-CFG's schedule. Malarz et al. 2025, arXiv:2502.10574."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field

from guidance.schedules.base import Schedule
from guidance.schedules.progress_schedule import progress
from guidance.schedules.weights import Weight


class Beta(Schedule):
    """A hump: most guidance in the middle, none (unconditional) at the first and last step; the mean is the weight.

    weight * r^(a-1) (1-r)^(b-1) / B(a, b) with r = i / (N - 1): the density itself, not scaled to a peak of 1. The
    paper allows a and b below 1, where the density is infinite at an end; here they start at 1.
    """

    paper: ClassVar[str] = "Malarz et al. 2025, arXiv:2502.10574"
    neutral: ClassVar[str] = "weight = 1 with a = b = 1; a = b = 1 alone is `constant`"

    type: Literal["beta"] = "beta"
    weight: Weight = 5.0
    a: float = Field(2.0, ge=1, le=100, description="above 1 the first step is unconditional")
    b: float = Field(2.0, ge=1, le=100, description="above 1 the last step is unconditional")

    def weight_at(self, index: int, count: int, sigma: float) -> float | None:
        r = progress(index, count)
        normaliser = math.exp(math.lgamma(self.a + self.b) - math.lgamma(self.a) - math.lgamma(self.b))
        return self.weight * normaliser * math.pow(r, self.a - 1) * math.pow(1 - r, self.b - 1)
