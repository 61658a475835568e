"""A constant weight. Ho & Salimans 2022, arXiv:2207.12598, eq. 6 (weight here = the paper's w + 1)."""

from __future__ import annotations

from typing import ClassVar, Literal

from guidance.schedules.base import Schedule
from guidance.schedules.weights import Weight


class Constant(Schedule):
    """The same weight at every step.

    w_i = weight.
    """

    paper: ClassVar[str] = "Ho & Salimans 2022, arXiv:2207.12598"
    neutral: ClassVar[str] = "weight = 1"

    type: Literal["constant"] = "constant"
    weight: Weight = 5.0

    def weight_at(self, index: int, count: int, sigma: float) -> float | None:
        return self.weight
