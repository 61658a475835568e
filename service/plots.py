"""Drawings: the diagnostics of a generation, the schedule of a spec. Loaded when one is asked for."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from service.schemas import PlannedStep, Validation

COLOURS = ("#2563eb", "#ea580c", "#059669", "#9333ea", "#dc2626", "#0891b2", "#ca8a04", "#db2777")
INK, FAINT, GRID = "#1f2937", "#6b7280", "#e5e7eb"

PANELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("guidance weight", ("weight",)),
    ("noise level sigma", ("sigma",)),
    ("norm, guided", ("guided_norm",)),
    ("norm, cond minus uncond", ("difference_norm",)),
    ("cosine, cond and uncond", ("cosine",)),
    ("guided norm over cond norm", ("guided_to_cond",)),
    ("denoised: std", ("denoised_std",)),
    ("denoised: range", ("denoised_min", "denoised_max")),
    ("denoised: clipped share", ("clipped_fraction",)),
    ("milliseconds", ("milliseconds",)),
    ("rows in the batch", ("batch_rows",)),
    ("evaluations", ("nfe",)),
)
"""Title of each small plot and the columns it shows; one without a value in any column is left out."""
LOGARITHMIC = {"sigma"}
STEPPED = {"weight", "nfe", "batch_rows"}
"""Constant over a step, so not joined by slopes."""
PER_ROW = 3

# Fonts and text layout of matplotlib are shared by the process and made for one thread.
_lock = threading.Lock()
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.edgecolor": GRID,
    "axes.labelcolor": FAINT,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "text.color": INK,
    "lines.linewidth": 1.4,
    "svg.fonttype": "none",
    "svg.hashsalt": "guidepost",  # the same drawing gives the same bytes
}


def plot_diagnostics(document: dict[str, Any], format: str) -> bytes:
    """Small plots that share the step axis, one line per image; `format` is png or svg."""
    images = document["images"]
    panels = [(title, names) for title, names in PANELS if any(_known(images, name) for name in names)]
    rows = max(1, -(-len(panels) // PER_ROW))
    with _lock, matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(11, 0.9 + 2.1 * rows), layout="constrained")
        grid = figure.subplots(rows, PER_ROW, sharex=True, squeeze=False).flat
        for axes, (title, names) in zip(grid, panels, strict=False):
            _panel(axes, title, names, images)
        for axes in list(grid)[len(panels) :]:
            axes.set_visible(False)
        lowest = [axes for axes in figure.axes if axes.get_visible()][-PER_ROW:]
        for axes in lowest:
            axes.set_xlabel("step")
            axes.tick_params(labelbottom=True)
        _legend(figure, images)
        return _bytes(figure, format)


def _panel(axes: Axes, title: str, names: Sequence[str], images: Sequence[dict[str, Any]]) -> None:
    for place, image in enumerate(images):
        for name in names:
            if (values := image["columns"].get(name)) is not None:
                steps, heights = _by_step(image["columns"], values)
                axes.plot(
                    steps,
                    heights,
                    color=COLOURS[place % len(COLOURS)],
                    marker="o" if len(steps) <= 2 else "",
                    markersize=3,
                    alpha=0.85,
                    drawstyle="steps-mid" if name in STEPPED else "default",
                    # Equal lines lie on each other: the ones below are wider, so that each is seen.
                    linewidth=1.4 + 0.9 * (len(images) - 1 - place) / max(1, len(images) - 1),
                )
    axes.set_title(title)
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if LOGARITHMIC.intersection(names):
        axes.set_yscale("log")
    if {"nfe", "batch_rows"}.intersection(names):
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))


def _by_step(columns: dict[str, list[float | None]], values: list[float | None]) -> tuple[list[float], list[float]]:
    """Steps and values, null as a break in the line; evaluations within a step are spread over it."""
    calls = columns.get("call") or [0] * len(values)
    within = 1 + max((call or 0) for call in calls)
    steps = [(step or 0) + (call or 0) / within for step, call in zip(columns["step"], calls, strict=True)]
    return steps, [float("nan") if value is None else value for value in values]


def _known(images: Sequence[dict[str, Any]], name: str) -> bool:
    return any(value is not None for image in images for value in image["columns"].get(name, ()))


def _legend(figure: Figure, images: Sequence[dict[str, Any]]) -> None:
    labels = [f"image {image['index']}, seed {image['seed']}" for image in images]
    handles = [Line2D([], [], color=COLOURS[i % len(COLOURS)], label=label) for i, label in enumerate(labels)]
    if handles:
        figure.legend(handles=handles, loc="outside upper left", ncols=4, frameon=False, handlelength=1.4)


def plot_schedule(planned: Validation) -> bytes:
    """The guidance weight of each step over noise level, and the evaluations it takes, as SVG."""
    with _lock, matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(8, 4.2), layout="constrained")
        weight, nfe = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        begun = [step for step in planned.steps if step.call == 0]
        steps = [step.step for step in begun]
        guided = [float("nan") if step.weight is None else step.weight for step in begun]
        weight.plot(steps, guided, color=COLOURS[0], drawstyle="steps-mid", marker="o", markersize=3)
        off = [step.step for step in begun if step.weight is None]
        weight.plot(off, [1] * len(off), color=FAINT, linestyle="", marker="o", markersize=3, markerfacecolor="white")
        weight.axhline(1, color=FAINT, linewidth=0.8, linestyle=":")
        weight.set_title(f"{planned.guidance['combiner']['type']} on {planned.model}: guidance weight (open: off)")
        _sigma_axis(weight, begun)
        spent = [sum(step.nfe for step in planned.steps if step.step == number) for number in steps]
        nfe.bar(steps, spent, color=COLOURS[2], width=0.8)
        nfe.set_title(f"evaluations: {planned.nfe}, plain CFG {planned.cfg_nfe}")
        nfe.set_xlabel(f"step of {planned.sampler['type']}")
        for axes in (weight, nfe):
            axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        nfe.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        return _bytes(figure, "svg")


def _sigma_axis(axes: Axes, steps: Sequence[PlannedStep]) -> None:
    """Noise levels along the top: the unit of intervals."""
    chosen = sorted({round(place * (len(steps) - 1) / 6) for place in range(7)})
    labels = ["inf" if steps[i].sigma is None else f"{steps[i].sigma:.3g}" for i in chosen]
    top = axes.secondary_xaxis("top")
    top.set_xticks([steps[i].step for i in chosen], labels)
    top.set_xlabel("sigma / alpha")
    top.spines["top"].set_visible(False)


def _bytes(figure: Figure, format: str) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Date": None} if format == "svg" else {}
    figure.savefig(buffer, format=format, dpi=120, metadata=metadata)
    return buffer.getvalue()
