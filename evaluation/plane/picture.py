"""A picture with what it shows in numbers: a PNG, the numbers as JSON, and a table for the page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from cli.docs import table
from evaluation import png
from evaluation.plane.canvas import STYLE
from guidance.samplers import AnySampler

Cell = str | float | None


@dataclass(frozen=True, eq=False)
class Picture:
    canvas: Figure
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    points: int
    """In a cloud. Sampled, their seeds are 0 to one less."""
    guidance: Mapping[str, Any] = field(default_factory=dict)
    """Of each cloud, as in a request; empty where nothing is sampled."""
    sampler: AnySampler | None = None
    shades: bool = False
    """Whether colours run into each other."""

    def document(self) -> dict[str, Any]:
        return {
            "columns": list(self.columns),
            "rows": [[_rounded(cell) for cell in row] for row in self.rows],
            "points": self.points,
            "seeds": f"0 to {self.points - 1}" if self.sampler else "1 and 2, of one generator each",
            "sampler": self.sampler.model_dump(exclude_none=True) if self.sampler else None,
            "guidance": dict(self.guidance),
        }

    def save(self, folder: Path, name: str) -> None:
        with matplotlib.rc_context(STYLE):
            png.save(self.canvas, folder / f"{name}.png", shades=self.shades)
        (folder / f"{name}.json").write_text(json.dumps(self.document(), indent=1, ensure_ascii=False) + "\n")


def markdown(document: Mapping[str, Any]) -> str:
    """The numbers of a picture's JSON as a table."""
    return table(document["columns"], [[_said(cell) for cell in row] for row in document["rows"]])


def filled(page: str, name: str, document: Mapping[str, Any]) -> str:
    """The page with this picture's table between its markers."""
    begin, end = f"<!-- numbers {name} (python -m evaluation.plane) -->", f"<!-- end {name} -->"
    block = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not block.search(page):
        raise ValueError(f"no markers for the numbers of {name!r}")
    return block.sub(lambda _: f"{begin}\n{markdown(document)}\n{end}", page)


def _rounded(cell: Cell) -> Cell:
    return round(cell, 4) if isinstance(cell, float) else cell


def _said(cell: Cell) -> str:
    if cell is None:
        return ""
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)
