"""What every weight schedule is."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Self

from pydantic import Field, model_validator

from guidance.stage import Stage


class Schedule(Stage):
    """The guidance weight of each step, read where the step begins.

    Any schedule may be limited to an interval of noise levels (Kynkäänniemi et al. 2024, arXiv:2404.07724). The
    interval wins: outside it guidance is off, whatever the schedule says.
    """

    off_by_step: ClassVar[bool] = False
    """Whether it may switch guidance off by the number of the step, not by the noise level alone."""

    sigma_low: float = Field(0.0, ge=0, description="guidance is off at sigma / alpha up to this one")
    sigma_high: float | None = Field(
        None, gt=0, description="guidance is off at sigma / alpha above this one; null means no upper bound"
    )

    @model_validator(mode="after")
    def _edges_in_order(self) -> Self:
        if self.sigma_high is not None and self.sigma_low >= self.sigma_high:
            raise ValueError(f"sigma_low = {self.sigma_low} must be below sigma_high = {self.sigma_high}")
        return self

    @property
    def length(self) -> int | None:
        """The number of steps that it is made for; None where any will do."""
        return None

    def at(self, index: int, count: int, sigma: float) -> float | None:
        """The weight of step `index` of `count`, which begins at noise level `sigma` (sigma / alpha).

        None where guidance is off: the conditional prediction is used alone, whatever the combiner.
        """
        inside = self.sigma_low < sigma and (self.sigma_high is None or sigma <= self.sigma_high)
        return self.weight_at(index, count, sigma) if inside else None

    @abstractmethod
    def weight_at(self, index: int, count: int, sigma: float) -> float | None:
        """The weight inside the interval."""
