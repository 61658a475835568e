"""Many methods side by side: what each changes, metric by metric, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from evaluation.metric import metric
from evaluation.results import Results
from training.intervals import Estimate

NAMES = ("fid", "precision", "recall", "accuracy", "entropy", "out_of_range", "evaluations")
BETTER, WORSE, OPEN = "#2360E0", "#F98217", "#888888"
"""Where the interval leaves 0 out on one side, on the other, or not at all."""
ROW_INCHES, PANEL_INCHES, LABEL_INCHES = 0.23, 1.75, 2.4


def forest(results: Results, names: Sequence[str] = NAMES) -> Figure:
    """A row for each point and a panel for each metric: the difference from the baseline, image by image.

    Raises ValueError for results without a baseline.
    """
    if results.baseline is None:
        raise ValueError(f"{results.name} has baseline = None: the points of a forest plot are compared with one")
    points = [name for name in results.points if name != results.baseline]
    used = [name for name in names if all(name in point for point in results.points.values())]
    size = (LABEL_INCHES + PANEL_INCHES * len(used), 1.1 + ROW_INCHES * len(points))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(used), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, used, strict=True):
        _panel(panel, [results.difference(point, results.baseline, name) for point in points], name)
    panels[0].set_yticks(range(len(points)), points, fontsize=7)
    panels[0].set_ylim(len(points) - 0.5, -0.5)
    figure.supxlabel(f"minus {results.baseline}; blue is better, orange is worse, grey is not told apart", fontsize=8)
    return figure


def _panel(panel: Any, apart: Sequence[Estimate], name: str) -> None:
    for row, one in enumerate(apart):
        panel.plot([one.low, one.high], [row, row], color=(colour := _colour(one, name)), linewidth=1.3)
        panel.plot(one.value, row, "o", markersize=4, color=colour)
    panel.axvline(0, color="black", linewidth=0.7)
    panel.set_title(metric(name).title, fontsize=8)
    panel.tick_params(axis="x", labelsize=7)
    panel.grid(axis="x", alpha=0.3)


def _colour(one: Estimate, name: str) -> str:
    better = metric(name).better
    if better == "neither" or one.low <= 0 <= one.high:
        return OPEN
    return BETTER if (one.value > 0) == (better == "higher") else WORSE
