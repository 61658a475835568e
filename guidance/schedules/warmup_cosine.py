"""Linear warm-up, then cosine annealing, in the exact steps of timm's CosineLRScheduler with warmup_prefix=False."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from guidance.schedules.base import Schedule
from guidance.schedules.cosine import annealed
from guidance.schedules.weights import Weight


class WarmupCosine(Schedule):
    """Climbs linearly for the first steps, then joins the cosine where it already is: max_weight is never reached.

    With W = floor(N warmup_fraction): init_weight + i (max_weight - init_weight) / W at the first W steps, then what
    `cosine` has at step i.
    """

    paper: ClassVar[str] = "Loshchilov & Hutter 2016, arXiv:1608.03983, eq. 5, in timm's discretisation"
    neutral: ClassVar[str] = "max_weight = min_weight = init_weight = 1"

    type: Literal["warmup_cosine"] = "warmup_cosine"
    max_weight: Weight = 7.5
    min_weight: Weight = 0.15
    init_weight: Weight = 0.15
    warmup_fraction: float = Field(0.1, ge=0, lt=1, description="share of the steps spent warming up")

    def weight_at(self, index: int, count: int, sigma: float) -> float | None:
        warmup = int(count * self.warmup_fraction)
        if index < warmup:
            return self.init_weight + index * (self.max_weight - self.init_weight) / warmup
        return annealed(index, count, self.max_weight, self.min_weight)
