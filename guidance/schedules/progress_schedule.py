"""Curves over sampling progress, scaled by one weight: what the schedules of Wang et al. have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

from pydantic import Field

from guidance.schedules.base import Schedule
from guidance.schedules.weights import Weight

Grid = Literal["endpoints", "midpoint", "left"]


def progress(index: int, count: int, grid: Grid = "endpoints") -> float:
    """Sampling progress r of step `index`: i/(N-1), (i+1/2)/N or i/N. A single step sits in the middle."""
    if grid == "midpoint" or count == 1:
        return (index + 0.5) / count
    return index / (count - 1) if grid == "endpoints" else index / count


class ProgressSchedule(Schedule):
    """weight * shape(r), with r = 0 at the first step, which is pure noise, and 1 at the last."""

    paper: ClassVar[str] = "Wang et al. 2024, arXiv:2404.13040"

    weight: Weight = 5.0
    grid: Grid = Field("endpoints", description="where in the step progress is read: i/(N-1), (i+1/2)/N or i/N")
    floor: Weight | None = Field(None, description="lower bound of the weight, itself a weight; the paper has none")

    @abstractmethod
    def shape(self, r: float) -> float:
        """The weight at progress `r` as a multiple of `weight`."""

    def weight_at(self, index: int, count: int, sigma: float) -> float | None:
        weight = self.weight * self.shape(progress(index, count, self.grid))
        return weight if self.floor is None else max(weight, self.floor)
