"""A curve of straight pieces through points. No paper."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from guidance.asked import Asked
from guidance.schedules.base import Schedule
from guidance.schedules.progress_schedule import progress
from guidance.schedules.weights import Weight


class Point(Asked):
    """A weight at a place of the trajectory."""

    at: float = Field(ge=0, description="progress from 0, the first step, to 1, the last; or sigma / alpha")
    weight: Weight


class Piecewise(Schedule):
    """Straight lines through the points that you give; before the first and after the last the weight stays.

    Points are ordered by `at`, which is sampling progress i / (N - 1) or, over sigma, the noise level: then the first
    point is the one that is reached last.
    """

    paper: ClassVar[str] = "no paper; a curve of your own"
    neutral: ClassVar[str] = "every weight 1"

    type: Literal["piecewise"] = "piecewise"
    over: Literal["progress", "sigma"] = "progress"
    points: tuple[Point, ...] = Field(
        (Point(at=0, weight=2), Point(at=0.5, weight=6), Point(at=1, weight=6)),
        min_length=2,
        max_length=250,
        description="sorted by at, no two at one place",
    )

    @model_validator(mode="after")
    def _places(self) -> Self:
        for before, after in pairwise(self.points):
            if before.at >= after.at:
                raise ValueError(f"points must be sorted by at: {after.at} comes after {before.at}")
        if self.over == "progress" and (last := self.points[-1].at) > 1:
            raise ValueError(f"at = {last} is past the end: progress runs from 0 to 1")
        return self

    def weight_at(self, index: int, count: int, sigma: float) -> float | None:
        here = progress(index, count) if self.over == "progress" else sigma
        passed = bisect_right(self.points, here, key=lambda point: point.at)
        if passed in (0, len(self.points)):
            return self.points[min(passed, len(self.points) - 1)].weight
        left, right = self.points[passed - 1 : passed + 1]
        share = (here - left.at) / (right.at - left.at)
        return left.weight + share * (right.weight - left.weight)
