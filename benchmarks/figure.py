"""What a benchmark finds: figures with their spread, tables and curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

Cell = str | int | float


@dataclass(frozen=True)
class Goal:
    """A bound that the median is held against."""

    value: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        return value <= self.value if self.at_most else value >= self.value

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.value:g}"


@dataclass(frozen=True)
class Figure:
    """One number, measured once in each repetition. `unit` is "x" for ratios."""

    name: str
    values: Sequence[float]
    unit: str = "x"
    goal: Goal | None = None

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The middle half of the repetitions."""
        if len(self.values) < 2:
            return self.values[0], self.values[0]
        low, _, high = quantiles(self.values, n=4, method="inclusive")
        return low, high

    @property
    def met(self) -> bool | None:
        return self.goal.met(self.median) if self.goal else None

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "quartiles": self.quartiles,
            "min": min(self.values),
            "max": max(self.values),
            "values": list(self.values),
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

    def document(self) -> dict[str, Any]:
        return {
            "figures": [figure.document() for figure in self.figures],
            "tables": [{"title": t.title, "header": list(t.header), "rows": [*map(list, t.rows)]} for t in self.tables],
            "curves": [{"name": c.name, "axes": self.axes, "points": [*map(list, c.points)]} for c in self.curves],
            "notes": list(self.notes),
        }


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """above[k] / below[k]: the two were measured one after the other, so a disturbed minute disturbs both."""
    return [a / b for a, b in zip(above, below, strict=True)]
