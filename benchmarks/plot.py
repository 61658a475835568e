"""The report's picture: every ratio with its range and goal, and the curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Canvas

from benchmarks.figure import Figure, Section


def save(sections: Mapping[str, Section], path: Path) -> None:
    """Ratios above, one panel per section with curves below."""
    ratios = [figure for section in sections.values() for figure in section.figures if figure.unit == "x"]
    curved = [(name, section) for name, section in sections.items() if section.curves]
    heights = [0.6 + 0.35 * max(1, len(ratios)), *(3.5 for _ in curved)]
    canvas = Canvas(figsize=(9, sum(heights)), layout="constrained")
    panels = canvas.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    _bars(panels[0], ratios)
    for panel, (name, section) in zip(panels[1:], curved, strict=True):
        _curves(panel, name, section)
    canvas.savefig(path, dpi=120)


def _bars(panel: Any, figures: list[Figure]) -> None:
    """Medians as bars, ranges as whiskers, goals as ticks."""
    places = range(len(figures))
    medians = [figure.median for figure in figures]
    below = [figure.median - min(figure.values) for figure in figures]
    above = [max(figure.values) - figure.median for figure in figures]
    panel.barh(places, medians, xerr=(below, above), height=0.6, color="tab:blue", ecolor="black", capsize=3)
    for place, figure in zip(places, figures, strict=True):
        if figure.goal:
            panel.plot([figure.goal.value] * 2, [place - 0.4, place + 0.4], color="tab:red", linewidth=2)
    panel.set_yticks(places, [figure.name for figure in figures], fontsize=7)
    panel.invert_yaxis()
    panel.axvline(1, color="grey", linewidth=0.8)
    panel.set_xlabel("ratio: median, smallest and largest; red: goal")


def _curves(panel: Any, name: str, section: Section) -> None:
    for curve in section.curves:
        panel.plot(*zip(*curve.points, strict=True), marker="o", label=curve.name)
    panel.set(title=name, xlabel=section.axes[0], ylabel=section.axes[1], ylim=(0, None))
    panel.legend()
    panel.grid(alpha=0.3)
