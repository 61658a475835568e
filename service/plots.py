"""Drawings: the diagnostics of a generation, the schedule of a spec. Loaded when one is asked for."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from service.lettering import font
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
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)))
WIDTH, DPI = 11, 120
"""Inches, and pixels to each."""
LONGEST_LABEL, BESIDE_LABEL = 80, 80
"""Letters of a label in the legend; pixels that each takes beside its letters."""

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


@dataclass(frozen=True, slots=True)
class Line:
    """What was measured of one image. Lines of the same `place` look the same; the first's label is theirs."""

    columns: Mapping[str, list[float | None]]
    label: str
    place: int

    @property
    def look(self) -> dict[str, Any]:
        """Colour, then dashes once the colours are used up."""
        dashes = DASHES[self.place // len(COLOURS) % len(DASHES)]
        return {"color": COLOURS[self.place % len(COLOURS)], "linestyle": dashes}


def plot_diagnostics(document: dict[str, Any], format: str) -> bytes:
    """Small plots that share the step axis, one line per image; `format` is png or svg."""
    images = document["images"]
    return plot_lines(
        [Line(image["columns"], f"image {image['index']}, seed {image['seed']}", i) for i, image in enumerate(images)],
        format,
    )


def plot_lines(lines: Sequence[Line], format: str) -> bytes:
    """Small plots that share the step axis, one per quantity that any of the lines has."""
    panels = [(title, names) for title, names in PANELS if any(_known(lines, name) for name in names)]
    rows = max(1, -(-len(panels) // PER_ROW))
    with _lock, matplotlib.rc_context(_STYLE):
        handles, columns = _legend(lines)
        height = 0.7 + 2.1 * rows + 0.18 * -(-len(handles) // columns)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        grid = list(figure.subplots(rows, PER_ROW, sharex=True, squeeze=False).flat)
        for axes, (title, names) in zip(grid, panels, strict=False):
            _panel(axes, title, names, lines)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        lowest = [axes for axes in figure.axes if axes.get_visible()][-PER_ROW:]
        for axes in lowest:
            axes.set_xlabel("step")
            axes.tick_params(labelbottom=True)
        if handles:
            figure.legend(handles=handles, loc="outside upper left", ncols=columns, frameon=False, handlelength=2.4)
        return _bytes(figure, format)


def _panel(axes: Axes, title: str, names: Sequence[str], lines: Sequence[Line]) -> None:
    highest = max((line.place for line in lines), default=0)
    for line in lines:
        for name in names:
            if (values := line.columns.get(name)) is not None:
                steps, heights = _by_step(line.columns, values)
                axes.plot(
                    steps,
                    heights,
                    **line.look,
                    marker="o" if len(steps) <= 2 else "",
                    markersize=3,
                    alpha=0.85,
                    drawstyle="steps-mid" if name in STEPPED else "default",
                    # Equal lines lie on each other: the ones below are wider, so that each is seen.
                    linewidth=1.4 + 0.9 * (highest - line.place) / max(1, highest),
                )
    axes.set_title(title)
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if LOGARITHMIC.intersection(names):
        axes.set_yscale("log")
    if {"nfe", "batch_rows"}.intersection(names):
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))


def _by_step(columns: Mapping[str, list[float | None]], values: list[float | None]) -> tuple[list[float], list[float]]:
    """Steps and values, null as a break in the line; evaluations within a step are spread over it."""
    calls = columns.get("call") or [0] * len(values)
    within = 1 + max((call or 0) for call in calls)
    steps = [(step or 0) + (call or 0) / within for step, call in zip(columns["step"], calls, strict=True)]
    return steps, [float("nan") if value is None else value for value in values]


def _known(lines: Sequence[Line], name: str) -> bool:
    return any(value is not None for line in lines for value in line.columns.get(name, ()))


def _legend(lines: Sequence[Line]) -> tuple[list[Line2D], int]:
    """One entry for each look, and in how many columns they have room."""
    first = {line.place: line for line in reversed(lines)}
    shown = [first[place] for place in sorted(first)]
    handles = [Line2D([], [], **line.look, label=_shortened(line.label)) for line in shown]
    face = font(round(_STYLE["font.size"] * DPI / 72))
    widest = max((face.getlength(str(handle.get_label())) for handle in handles), default=0) + BESIDE_LABEL
    return handles, max(1, min(4, int(WIDTH * DPI / widest)))


def _shortened(label: str) -> str:
    """Cut, and with what matplotlib would take for a formula or a label to hide said otherwise."""
    text = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
    return ("\u200b" if text.startswith("_") else "") + text.replace("$", r"\$")


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
    figure.savefig(buffer, format=format, dpi=DPI, metadata=metadata)
    return buffer.getvalue()
