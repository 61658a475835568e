"""What a benchmark finds: figures with their spread, tables and curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats

Cell = str | int | float

RESAMPLED = 10
"""From so many values on, a bootstrap interval says something."""


@dataclass(frozen=True)
class Goal:
    """A bound that the result is held against."""

    value: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        return value <= self.value if self.at_most else value >= self.value

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.value:g}"


@dataclass(frozen=True)
class Figure:
    """One number, measured many times. `unit` is "x" for ratios; `id` names the question, "R1" and so on."""

    name: str
    values: Sequence[float]
    unit: str = "x"
    goal: Goal | None = None
    id: str = ""
    quantile: float = 0.5
    """Which of the values is the result: 0.5 the median, 0.99 for waits."""
    less: bool = False
    """Whether less is better, where no goal says so."""

    @property
    def median(self) -> float:
        return float(np.median(self.values))

    @property
    def result(self) -> float:
        """What is reported, and held against the goal."""
        return float(np.quantile(self.values, self.quantile))

    @property
    def statistic(self) -> str:
        return "median" if self.quantile == 0.5 else f"p{100 * self.quantile:g}"

    @property
    def quartiles(self) -> tuple[float, float]:
        """The middle half of the values."""
        low, high = np.quantile(self.values, (0.25, 0.75))
        return float(low), float(high)

    @property
    def interval(self) -> tuple[float, float] | None:
        """In which the median lies, 95 % sure, by bootstrap over the values; None where they are few, or no median."""
        if self.quantile != 0.5 or len(self.values) < RESAMPLED:
            return None
        found = stats.bootstrap((self.values,), np.median, method="percentile", rng=np.random.default_rng(0))
        return float(found.confidence_interval.low), float(found.confidence_interval.high)

    @property
    def less_is_better(self) -> bool:
        return self.goal.at_most if self.goal else self.less

    @property
    def met(self) -> bool | None:
        return self.goal.met(self.result) if self.goal else None

    def document(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "unit": self.unit,
            "statistic": self.statistic,
            "result": self.result,
            "median": self.median,
            "interval": self.interval,
            "quartiles": self.quartiles,
            "min": min(self.values),
            "max": max(self.values),
            "values": list(self.values),
            "less is better": self.less_is_better,
            "goal": str(self.goal) if self.goal else None,
            "met": self.met,
        }


@dataclass(frozen=True)
class Table:
    """Details behind the figures."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Curve:
    """Points (x, y) of one line; the axes are named in the section."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Section:
    """Everything one benchmark reports. `axes` are the names of its curves' x and y."""

    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    curves: Sequence[Curve] = ()
    axes: tuple[str, str] = ("", "")
    notes: Sequence[str] = field(default_factory=tuple)
    failure: str = ""
    """Why there is nothing, where it could not be measured."""

    def document(self) -> dict[str, Any]:
        return {
            "figures": [figure.document() for figure in self.figures],
            "tables": [{"title": t.title, "header": list(t.header), "rows": [*map(list, t.rows)]} for t in self.tables],
            "curves": [{"name": c.name, "axes": self.axes, "points": [*map(list, c.points)]} for c in self.curves],
            "notes": list(self.notes),
            "failure": self.failure,
        }


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """above[k] / below[k]: the two were measured one after the other, so a disturbed minute disturbs both."""
    return [a / b for a, b in zip(above, below, strict=True)]
