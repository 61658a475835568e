"""The report's picture: every answer with its range and goal, grouped by question, and the curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Canvas

from benchmarks.figure import Figure, Section

MET, MISSED, FREE = "#2a7f62", "#c0504d", "#7f8fa6"
"""Colours of bars: the goal is met, it is not, there is none."""
QUESTIONS = {
    "R1": "batching",
    "R2": "different requests",
    "R3": "other batching rules",
    "R4": "the service",
    "R5": "joining",
    "R6": "fairness",
    "R7": "diagnostics",
    "R8": "exactness",
    "R9": "canceling",
    "R10": "diffusers",
    "R11": "second worker",
}
ABSOLUTE = ("ms", "bytes")
"""Units that do not belong on an axis of ratios."""
BAR, GAP = 0.62, 0.55
LINE_INCHES = 0.3


def save(answers: Sequence[Figure], sections: Mapping[str, Section], path: Path) -> None:
    """Two panels of bars, more is better and less is better; then one panel per section with curves."""
    drawn = [figure for figure in answers if figure.unit not in ABSOLUTE]
    halves = {
        "higher is better": [figure for figure in drawn if not figure.less_is_better],
        "lower is better": [figure for figure in drawn if figure.less_is_better],
    }
    barred = {title: figures for title, figures in halves.items() if figures}
    curved = [(name, section) for name, section in sections.items() if section.curves]
    if not barred and not curved:
        barred = {"nothing to draw": []}
    heights = [0.9 + LINE_INCHES * _lines(figures) for figures in barred.values()] + [3.2 for _ in curved]
    canvas = Canvas(figsize=(10, sum(heights)), layout="constrained")
    panels = canvas.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for panel, (title, figures) in zip(panels, barred.items(), strict=False):
        _bars(panel, title, figures)
    for panel, (name, section) in zip(panels[len(barred) :], curved, strict=True):
        _curves(panel, name, section)
    canvas.savefig(path, dpi=130)


def _lines(figures: Sequence[Figure]) -> float:
    """Of the bars and the gaps between questions."""
    return len(figures) + GAP * len({figure.id for figure in figures})


def _bars(panel: Any, title: str, figures: Sequence[Figure]) -> None:
    """Results as bars, ranges as whiskers, goals as ticks; the questions at the left."""
    places, place = list[float](), 0.0
    for id, group in groupby(figures, key=lambda figure: figure.id):
        first = place
        for figure in group:
            _bar(panel, place, figure)
            places.append(place)
            place += 1
        panel.annotate(
            f"{id} {QUESTIONS.get(id, '')}", (0, first - 0.5), xytext=(3, 1), xycoords=("axes fraction", "data"),
            textcoords="offset points", fontsize=8, fontweight="bold", color="#444", va="bottom",
        )  # fmt: skip
        place += GAP
    panel.set_yticks(places, [figure.name for figure in figures], fontsize=8)
    panel.set_ylim(place - GAP - 0.4, -0.5 - GAP)
    lowest = min([0.0, *(min(figure.values) for figure in figures)])
    panel.set_xlim(1.05 * lowest, 1.14 * max([1.0, *(_reach(figure) for figure in figures)]))
    panel.axvline(1, color="#999", linewidth=0.8, zorder=0)
    panel.set_title(title, loc="left", fontsize=11, fontweight="bold")
    panel.set_xlabel("ratio, or steps; line: smallest to largest; black mark: goal; green met, red missed", fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(axis="y", length=0)
    panel.tick_params(axis="x", labelsize=8)


def _bar(panel: Any, place: float, figure: Figure) -> None:
    low, high, result = min(figure.values), max(figure.values), figure.result
    colour = {None: FREE, True: MET, False: MISSED}[figure.met]
    panel.barh(place, result, height=BAR, color=colour)
    panel.plot([low, high], [place, place], color="black", linewidth=1, alpha=0.6)
    reach = max(high, result)
    if figure.goal:
        panel.plot([figure.goal.value] * 2, [place - 0.42, place + 0.42], color="black", linewidth=2.5)
        reach = _reach(figure)
    said = f"{result:.2f}" if figure.statistic == "median" else f"{figure.statistic} {result:.2f}"
    panel.annotate(said, (reach, place), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8)


def _reach(figure: Figure) -> float:
    """The rightmost thing on its line."""
    return max(*figure.values, figure.result, figure.goal.value if figure.goal else 0.0)


def _curves(panel: Any, name: str, section: Section) -> None:
    for curve in section.curves:
        panel.plot(*zip(*curve.points, strict=True), marker="o", label=curve.name)
    panel.set(xlabel=section.axes[0], ylabel=section.axes[1], ylim=(0, None), xlim=(0, None))
    panel.set_title(f"{name}: {section.axes[1]}", loc="left", fontsize=11, fontweight="bold")
    panel.legend(frameon=False)
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)
