"""A linearly growing weight. Wang et al. 2024, arXiv:2404.13040, "linear", normalised to a mean of `weight`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from guidance.schedules.base import Schedule, Weight

Grid = Literal["endpoints", "midpoint", "left"]


def progress(index: int, count: int, grid: Grid) -> float:
    """Sampling progress r of step `index`: i/(N-1), (i+1/2)/N or i/N. A single step sits in the middle."""
    if grid == "midpoint" or count == 1:
        return (index + 0.5) / count
    return index / (count - 1) if grid == "endpoints" else index / count


class Linear(Schedule):
    """Grows from 0 (unconditional) to twice the weight; the mean over the steps is the weight."""

    paper: ClassVar[str] = "Wang et al. 2024, arXiv:2404.13040"

    type: Literal["linear"] = "linear"
    weight: Weight = 5.0
    grid: Grid = Field("endpoints", description="where in the step progress is read; endpoints keeps the mean exact")
    floor: Weight | None = Field(None, description="lower bound of the weight; the paper has none")

    def at(self, index: int, count: int, sigma: float) -> float | None:
        weight = 2 * self.weight * progress(index, count, self.grid)
        return weight if self.floor is None else max(weight, self.floor)
