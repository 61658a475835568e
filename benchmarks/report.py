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

SUMMARY = ("", "figure", "result", "range", "runs", "goal", "")
HEADER = ("", "figure", "result", "95 % interval", "middle half", "range", "runs", "goal", "")


@dataclass(frozen=True)
class Report:
    """Sections by benchmark; `abouts` says in words what each measures, `seconds` how long that took."""

    machine: Mapping[str, str]
    abouts: Mapping[str, str]
    sections: Mapping[str, Section]
    seconds: Mapping[str, float]

    @property
    def answers(self) -> list[Figure]:
        """The figures that answer a question of the catalogue, in its order."""
        numbered = [figure for section in self.sections.values() for figure in section.figures if figure.id]
        return sorted(numbered, key=lambda figure: int(figure.id.lstrip("R")))

    def document(self) -> dict[str, Any]:
        return {
            "machine": dict(self.machine),
            "summary": [figure.document() for figure in self.answers],
            "benchmarks": {
                name: {"about": self.abouts[name], "seconds": self.seconds[name], **section.document()}
                for name, section in self.sections.items()
            },
        }

    def markdown(self) -> str:
        lines = ["# Benchmarks", "", *_grid(SUMMARY, [summarised(figure) for figure in self.answers]), ""]
        lines += ["The result is the median, or where it says so another quantile.", "", "![figures](report.png)", ""]
        lines += ["## where", "", *_grid(("", ""), [*self.machine.items()]), ""]
        for name, section in self.sections.items():
            lines += [f"## {name}", "", self.abouts[name], ""]
            if section.figures:
                lines += _grid(HEADER, [_row(figure) for figure in section.figures])
            for table in section.tables:
                lines += ["", f"{table.title}:", "", *_grid(table.header, [[*map(shown, row)] for row in table.rows])]
            lines += [f"\n{note}" for note in (*section.notes, section.failure) if note]
            lines.append("")
        return "\n".join(lines)

    def write(self, folder: Path) -> list[Path]:
        """report.md, report.json and report.png in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"report.{suffix}" for suffix in ("md", "json", "png")]
        paths[0].write_text(self.markdown())
        paths[1].write_text(json.dumps(self.document(), indent=1))
        plot.save(self.answers, self.sections, paths[2])
        return paths

    def show(self, console: Console) -> None:
        for section in self.sections.values():
            for table in section.tables:
                console.print(_rich(table))
        for name, value in self.machine.items():
            console.print(f"{name:>18}  {value}", highlight=False)
        grid = Grid(*SUMMARY)
        for figure in self.answers:
            grid.add_row(*summarised(figure))
        others = [figure for section in self.sections.values() for figure in section.figures if not figure.id]
        grid.add_section()
        for figure in others:
            grid.add_row(*summarised(figure))
        console.print(grid)
        for name, section in self.sections.items():
            if section.failure:
                console.print(f"{name}: {section.failure}", highlight=False)

    @property
    def failed(self) -> bool:
        return any(section.failure for section in self.sections.values())


def summarised(figure: Figure) -> list[str]:
    """A row under SUMMARY."""
    number, name, result, _, _, spread, runs, goal, met = _row(figure)
    return [number, name, result, spread, runs, goal, met]


def _row(figure: Figure) -> list[str]:
    result = f"{shown(figure.result)} {figure.unit}"
    return [
        figure.id,
        figure.name,
        result if figure.statistic == "median" else f"{figure.statistic} {result}",
        _span(figure.interval) if figure.interval else "",
        _span(figure.quartiles),
        _span((min(figure.values), max(figure.values))),
        str(len(figure.values)),
        str(figure.goal or ""),
        {None: "", True: "met", False: "missed"}[figure.met],
    ]


def _span(ends: tuple[float, float]) -> str:
    return f"{shown(ends[0])} to {shown(ends[1])}"


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
