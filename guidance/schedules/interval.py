"""Guidance in a limited interval of noise levels. Kynkäänniemi et al. 2024, arXiv:2404.07724, eq. 5."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from guidance.schedules.base import Schedule, Weight


class Interval(Schedule):
    """A constant weight while sigma_low < sigma <= sigma_high; outside, the conditional prediction alone.

    sigma is sigma / alpha, Karras' sigma; the decision is taken where the step begins, for all its evaluations.
    """

    paper: ClassVar[str] = "Kynkäänniemi et al. 2024, arXiv:2404.07724"
    neutral: ClassVar[str] = "weight = 1; sigma_low = 0 with no sigma_high is `constant`"

    type: Literal["interval"] = "interval"
    weight: Weight = 5.0
    sigma_low: float = Field(0.28, ge=0)
    sigma_high: float | None = Field(5.42, gt=0, description="null means no upper bound")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.sigma_high is not None and self.sigma_low >= self.sigma_high:
            raise ValueError(f"sigma_low = {self.sigma_low} must be below sigma_high = {self.sigma_high}")
        return self

    def at(self, index: int, count: int, sigma: float) -> float | None:
        inside = self.sigma_low < sigma and (self.sigma_high is None or sigma <= self.sigma_high)
        return self.weight if inside else None
