"""What one part of the fault suite found: figures, tables, and every broken promise."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

Cell = str | int | float


@dataclass(frozen=True)
class Figure:
    """One number. With a goal it is met or missed."""

    name: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        if self.at_most is not None:
            return self.value <= self.at_most
        return None if self.at_least is None else self.value >= self.at_least

    @property
    def goal(self) -> str:
        if self.at_most is not None:
            return f"at most {self.at_most:g}"
        return "" if self.at_least is None else f"at least {self.at_least:g}"


@dataclass
class Finding:
    """Grows while its part runs."""

    part: str
    about: str
    seed: int
    figures: list[Figure] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    tables: dict[str, tuple[Sequence[str], list[Sequence[Cell]]]] = field(default_factory=dict)
    seconds: float = 0.0

    def add(
        self, name: str, value: float, unit: str = "", *, at_most: float | None = None, at_least: float | None = None
    ) -> None:
        self.figures.append(Figure(name, value, unit, at_most, at_least))

    def add_times(self, name: str, seconds: Sequence[float], *, at_most: float | None = None) -> None:
        """Their median and 99th percentile, which has the goal."""
        if seconds:
            self.add(f"{name}, p50", median(seconds), "s")
            self.add(f"{name}, p99", percentile(seconds, 99), "s", at_most=at_most)

    def insist(self, true: bool, otherwise: str) -> None:
        """What must hold, and what is said where it does not."""
        if not true:
            self.broken.append(otherwise)

    def document(self) -> dict[str, Any]:
        figures = [
            {"name": one.name, "value": one.value, "unit": one.unit, "goal": one.goal, "met": one.met}
            for one in self.figures
        ]
        tables = {title: {"header": list(header), "rows": rows} for title, (header, rows) in self.tables.items()}
        said = {"part": self.part, "about": self.about, "seed": self.seed, "seconds": self.seconds}
        return said | {"machine": machine(), "figures": figures, "broken": self.broken, "tables": tables}

    def markdown(self) -> str:
        said = f"{len(self.broken)} broken promises" if self.broken else "no broken promise"
        lines = [f"## {self.part}", "", f"{self.about} Seed {self.seed}, {self.seconds:.0f} s: **{said}**.", ""]
        lines += grid(("figure", "value", "goal", ""), [_row(figure) for figure in self.figures])
        lines += ["", *(f"- {broken}" for broken in self.broken[:20])] if self.broken else []
        for title, (header, rows) in self.tables.items():
            lines += ["", f"{title}:", "", *grid(header, [[*map(shown, row)] for row in rows])]
        return "\n".join([*lines, ""])

    def write(self, folder: Path) -> None:
        """As JSON and as Markdown."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.part}.json").write_text(json.dumps(self.document(), indent=1))
        (folder / f"{self.part}.md").write_text(self.markdown())


def percentile(values: Sequence[float], part: int) -> float:
    """With one value, that."""
    return quantiles(values, n=100, method="inclusive")[part - 1] if len(values) > 1 else values[0]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the straight line through (x, y) that has the least squares."""
    count = len(points)
    x, y = sum(p[0] for p in points) / count, sum(p[1] for p in points) / count
    return sum((p[0] - x) * (p[1] - y) for p in points) / sum((p[0] - x) ** 2 for p in points)


def machine() -> dict[str, str]:
    """Where it was measured."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    load = f"{os.getloadavg()[0]:.2f} in the last minute"
    where = {"date": time.strftime("%Y-%m-%d %H:%M %z"), "commit": commit or "unknown", "load": load}
    return where | {"cores": str(os.cpu_count()), "system": platform.platform(), "python": platform.python_version()}


def shown(cell: Cell) -> str:
    """Numbers with about three digits."""
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:.0f}" if abs(cell) >= 100 or cell == int(cell) else f"{cell:.3g}"


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _row(figure: Figure) -> list[str]:
    met = {None: "", True: "met", False: "**missed**"}[figure.met]
    return [figure.name, f"{shown(figure.value)} {figure.unit}".strip(), figure.goal, met]
