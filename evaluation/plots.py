"""The report's curves: what is traded for what, each metric along a curve, and what nothing else beats."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count
from math import ceil
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from evaluation.labels import label, spread
from evaluation.metric import METRICS, metric
from evaluation.pareto import front
from evaluation.results import Measured, Results
from evaluation.sweep import Plot

COLOURS = ("#2360E0", "#F98217", "#37B24D", "#E03131", "#8B3FD9", "#12A5B5", "#D6337F", "#7F6A4F", "#5B6470", "#B59A00")
MARKERS = "osD^vP*Xhd"
GREY = "#888888"
TRADES = (("inception_score", "fid"), ("recall", "precision"))
FRONTS = (("evaluations", "fid"), ("recall", "fid"), ("recall", "precision"))
COLUMNS = 4
LEGEND_INCHES = 1.7
"""Of a name in a legend."""


def plots(results: Results, folder: Path, asked: Sequence[Plot] = ()) -> list[Path]:
    """Every plot that these results have points for; of trade-offs, those that are asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {"trade-offs.png": trade_offs(results, asked), "pareto.png": _pairs(results, FRONTS, along=False)}
    drawn |= {f"curves-{axis}.png": _curves(results, axis) for axis in _axes(results)}
    for name, figure in drawn.items():
        figure.savefig(folder / name, dpi=110)
    return [folder / name for name in drawn]


def trade_offs(results: Results, asked: Sequence[Plot] = ()) -> Figure:
    """What is traded for what, points that vary in one thing joined in order; TRADES where nothing is asked for."""
    return _pairs(results, [(plot.x, plot.y) for plot in asked] or TRADES, along=True)


def _axes(results: Results) -> list[str]:
    """What at least one curve varies over."""
    return sorted({curve[0].axis for curve in results.curves.values() if len(curve) > 1 and curve[0].axis})


def _pairs(results: Results, pairs: Sequence[tuple[str | None, str]], along: bool) -> Figure:
    """One metric against another: joined along the curves, or by the front of what is better in neither.

    Against None: along what the curves vary over.
    """
    figure = Figure(figsize=(max(6.8, 5.2 * len(pairs)), 4.6), layout="constrained")
    panels = figure.subplots(1, len(pairs), squeeze=False)[0]
    for panel, (across, up) in zip(panels, pairs, strict=True):
        panel.grid(alpha=0.3)
        if across is None:
            _measured_along(panel, results, _axes(results)[0], up)
            panel.set(xlabel=_axes(results)[0], ylabel=_labelled(up))
            continue
        for (name, curve), style in zip(results.curves.items(), _styles(), strict=False):
            _scatter(panel, name, curve, across, up, style, joined=along)
        if along:
            _mark_real(panel, results, across, up)
        else:
            _front(panel, list(results.points.values()), across, up)
        panel.set(xlabel=_labelled(across), ylabel=_labelled(up))
    _legend(figure, panels[0])
    figure.draw_without_rendering()  # labels are put where the layout leaves their points
    for panel in panels:
        spread(panel)
    return figure


def _styles() -> Iterator[tuple[str, str]]:
    """Colours with markers: a hundred that differ."""
    for turn in count():
        turned = deque(MARKERS)
        turned.rotate(turn)
        yield from zip(COLOURS, turned, strict=True)


def _scatter(
    panel: Any, name: str, curve: Sequence[Measured], across: str, up: str, style: tuple[str, str], *, joined: bool
) -> None:
    there = [point for point in curve if across in point and up in point]
    if not there:
        return
    colour, marker = style
    xs, ys = [point[across] for point in there], [point[up] for point in there]
    ordered = joined and len({point.x for point in there}) == len(there) > 1  # else more than one thing varies
    line = {"linewidth": 1.2} if ordered else {"linestyle": "none"}
    _, _, bars = panel.errorbar(
        [x.value for x in xs], [y.value for y in ys], xerr=_whiskers(xs), yerr=_whiskers(ys), marker=marker,
        markersize=5, color=colour, label=name, elinewidth=0.7, **line,
    )  # fmt: skip
    for bar in bars:
        bar.set_alpha(0.35)
    for point, x, y in zip(there, xs, ys, strict=True):
        if point.x is not None:
            label(panel, f"{point.x:g}", (x.value, y.value), colour)


def _whiskers(estimates: Sequence[Any]) -> list[list[float]]:
    return [[max(0.0, e.value - e.low) for e in estimates], [max(0.0, e.high - e.value) for e in estimates]]


def _mark_real(panel: Any, results: Results, across: str, up: str) -> None:
    """Where real pictures stand, without stretching the panel to them."""
    real = results.ends.get("real")
    if real is None or across not in real or up not in real:
        return
    limits, place = (panel.get_xlim(), panel.get_ylim()), (real[across].value, real[up].value)
    if all(low <= value <= high for value, (low, high) in zip(place, limits, strict=True)):
        panel.plot(*place, "x", color="black")
        label(panel, real.name, place, "black")
    panel.set(xlim=limits[0], ylim=limits[1])


def _front(panel: Any, points: Sequence[Measured], across: str, up: str) -> None:
    """A staircase through the points that no other beats in both."""
    there = [point for point in points if across in point and up in point]
    best = front([(point[across].value, point[up].value) for point in there], (_sign(across), _sign(up)))
    if len(best) > 1:
        where = "post" if _sign(across) < 0 else "pre"
        panel.step(*zip(*best, strict=True), where=where, color=GREY, linewidth=1.5, zorder=0, label="front")


def _sign(name: str) -> int:
    return -1 if metric(name).better == "lower" else 1


def _curves(results: Results, axis: str) -> Figure:
    """A panel for each metric along the curves that vary over `axis`; single points as level lines."""
    used = [name for name in METRICS if any(name in point for point in results.points.values())]
    rows = ceil(len(used) / COLUMNS)
    figure = Figure(figsize=(3.5 * COLUMNS, 2.7 * rows + 0.3), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for panel, name in zip(panels, used, strict=False):
        _measured_along(panel, results, axis, name)
        panel.set_title(_labelled(name), fontsize=9)
        panel.set_xlabel(axis, fontsize=8)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.3)
    for panel in panels[len(used) :]:
        panel.axis("off")
    _legend(figure, figure.axes[0])
    return figure


def _measured_along(panel: Any, results: Results, axis: str, name: str) -> None:
    """One metric along the curves that vary over `axis`, with single points and real pictures as level lines."""
    for (title, curve), style in zip(results.curves.items(), _styles(), strict=False):
        _along(panel, title, [point for point in curve if name in point], axis, name, style)
    if "real" in results.ends and name in results.ends["real"]:
        _level(panel, results.ends["real"][name].value)


def _along(panel: Any, title: str, curve: Sequence[Measured], axis: str, name: str, style: tuple[str, str]) -> None:
    colour, marker = style
    placed = [(point.x, point[name]) for point in curve if point.axis == axis and point.x is not None]
    if not placed:
        if len(curve) == 1 and curve[0].x is None:
            panel.axhline(curve[0][name].value, color=colour, linewidth=1, linestyle="--", label=title)
        return
    xs, ys = [x for x, _ in placed], [y for _, y in placed]
    panel.plot(xs, [y.value for y in ys], marker=marker, markersize=4, linewidth=1.3, color=colour, label=title)
    panel.fill_between(xs, [y.low for y in ys], [y.high for y in ys], color=colour, alpha=0.15, linewidth=0)


def _level(panel: Any, value: float) -> None:
    """Of real pictures, where that does not flatten the curves."""
    low, high = panel.get_ylim()
    if low - (high - low) <= value <= high + (high - low):
        panel.axhline(value, color=GREY, linewidth=1, linestyle=":", label="real")


def _labelled(name: str) -> str:
    arrow = {"higher": "higher is better", "lower": "lower is better", "neither": ""}[metric(name).better]
    return f"{metric(name).title} ({arrow})" if arrow else metric(name).title


def _legend(figure: Figure, panel: Any) -> None:
    handles, labels = panel.get_legend_handles_labels()
    ncols = max(1, min(len(labels), int(figure.get_figwidth() / LEGEND_INCHES)))
    figure.legend(handles, labels, loc="outside lower center", ncols=ncols, frameon=False, fontsize=8)
