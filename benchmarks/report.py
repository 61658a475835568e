"""One report of one run: Markdown, JSON and a plot, and the figures on the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from benchmarks import plot
from benchmarks.figure import Cell, Figure, Section, Table

HEADER = ("figure", "median", "middle half", "range", "runs", "goal", "")


@dataclass(frozen=True)
class Report:
    """Sections by benchmark; `abouts` says in words what each measures."""

    machine: Mapping[str, str]
    abouts: Mapping[str, str]
    sections: Mapping[str, Section]

    def document(self) -> dict[str, Any]:
        return {
            "machine": dict(self.machine),
            "benchmarks": {name: section.document() for name, section in self.sections.items()},
        }

    def markdown(self) -> str:
        lines = ["# Benchmarks", "", *_grid(("", ""), [*self.machine.items()]), ""]
        lines += ["![figures](report.png)", ""]
        for name, section in self.sections.items():
            lines += [f"## {name}", "", self.abouts[name], ""]
            lines += _grid(HEADER, [_row(figure) for figure in section.figures])
            for table in section.tables:
                lines += ["", f"{table.title}:", "", *_grid(table.header, [[*map(shown, row)] for row in table.rows])]
            lines += [f"\n{note}" for note in section.notes]
            lines.append("")
        return "\n".join(lines)

    def write(self, folder: Path) -> list[Path]:
        """report.md, report.json and report.png in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"report.{suffix}" for suffix in ("md", "json", "png")]
        paths[0].write_text(self.markdown())
        paths[1].write_text(json.dumps(self.document(), indent=1))
        plot.save(self.sections, paths[2])
        return paths

    def show(self, console: Console) -> None:
        for name, value in self.machine.items():
            console.print(f"{name:>18}  {value}", highlight=False)
        grid = Grid(*HEADER)
        for section in self.sections.values():
            for figure in section.figures:
                grid.add_row(*_row(figure))
            grid.add_section()
        console.print(grid)
        for section in self.sections.values():
            for table in section.tables:
                console.print(_rich(table))


def _row(figure: Figure) -> list[str]:
    low, high = figure.quartiles
    met = {None: "", True: "met", False: "missed"}[figure.met]
    return [
        figure.name,
        f"{shown(figure.median)} {figure.unit}",
        f"{shown(low)} to {shown(high)}",
        f"{shown(min(figure.values))} to {shown(max(figure.values))}",
        str(len(figure.values)),
        str(figure.goal or ""),
        met,
    ]


def shown(cell: Cell) -> str:
    """Numbers with about three digits."""
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.3g}"


def _grid(header: Any, rows: Any) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]


def _rich(table: Table) -> Grid:
    grid = Grid(*table.header, title=table.title, title_justify="left")
    for row in table.rows:
        grid.add_row(*map(shown, row))
    return grid
