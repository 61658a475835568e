"""Dynamic CFG, the baseline that CADS is compared with. Sadat et al. 2023, arXiv:2310.17347."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from guidance.schedules.base import Schedule
from guidance.schedules.weights import Weight


class DynamicCFG(Schedule):
    """Unconditional while there is much noise, the full weight once there is little, a straight ramp between.

    alpha weight, with alpha = clamp((high - s) / (high - low), 0, 1). s is the time 1 - step / steps, which falls from
    1 and is CADS' clock, or sigma / alpha, as `domain` says: two different schedules.
    """

    paper: ClassVar[str] = "Sadat et al. 2023, arXiv:2310.17347"
    neutral: ClassVar[str] = "weight = 1 with low = 1 in time; low = 1 alone is `constant`"

    type: Literal["dynamic_cfg"] = "dynamic_cfg"
    weight: Weight = 5.0
    domain: Literal["time", "sigma"] = Field("time", description="what low and high are; sigma needs both of them")
    low: float = Field(0.6, ge=0, description="the full weight at and below it")
    high: float = Field(0.9, ge=0, description="weight 0, the unconditional model, at and above it")

    @model_validator(mode="after")
    def _ramp(self) -> Self:
        if self.domain == "sigma" and not {"low", "high"} <= self.model_fields_set:
            raise ValueError("domain = sigma needs low and high in sigma / alpha: their defaults are times")
        if self.low > self.high:
            raise ValueError(f"low = {self.low} must not be above high = {self.high}")
        if self.domain == "time" and self.high > 1:
            raise ValueError(f"high = {self.high} is past the beginning: time runs from 1 to 0")
        return self

    def alpha(self, index: int, count: int, sigma: float) -> float:
        """The share of the weight at a step, in [0, 1]."""
        here = 1 - index / count if self.domain == "time" else sigma
        if here <= self.low:
            return 1.0
        return 0.0 if here >= self.high else (self.high - here) / (self.high - self.low)

    def weight_at(self, index: int, count: int, sigma: float) -> float | None:
        return self.alpha(index, count, sigma) * self.weight
