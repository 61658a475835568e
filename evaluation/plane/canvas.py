"""How the pictures look: one style, one palette, and the few things that are drawn in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from service.plots import FAINT, GRID, INK

BLUE, ORANGE, GREEN, SKY, PURPLE = "#0072B2", "#D55E00", "#009E73", "#56B4E9", "#CC79A7"
"""Of Okabe and Ito's palette, which colour-blind readers tell apart."""
CLASSES = (BLUE, ORANGE, GREEN)
WIDTH = 10.0
"""Inches. At 110 pixels each, about what a page of documentation is wide."""
DPI = 110
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.linewidth": 0.6,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "text.color": INK,
    "legend.frameon": False,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
}
CELLS = 121
"""Of the grid that densities are drawn on, each way."""
MASSES = (0.9, 0.5)
"""What lies inside of the lines of a density."""


def canvas(height: float, width: float = WIDTH) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def in_plane(panels: Sequence[Axes], x: tuple[float, float], y: tuple[float, float]) -> None:
    """Panels of the plane itself: equal scales, the same part of it."""
    for panel in panels:
        panel.set(xlim=x, ylim=y, aspect="equal")
        panel.spines[["top", "right"]].set_visible(True)
        panel.tick_params(labelsize=8, length=2)
    panels[0].set_ylabel("second coordinate")
    for panel in panels:
        panel.set_xlabel("first coordinate")


def lattice(x: tuple[float, float], y: tuple[float, float], cells: int = CELLS) -> Tensor:
    """Points (cells^2, 2) of a grid, row by row from the lowest."""
    across, up = (torch.linspace(*span, cells, dtype=torch.float64) for span in (x, y))
    rows, columns = torch.meshgrid(up, across, indexing="ij")
    return torch.stack([columns.flatten(), rows.flatten()], 1)


def dots(panel: Axes, points: Tensor, colour: str, size: float = 4, alpha: float = 0.45) -> None:
    x, y = points.T.numpy()
    panel.scatter(x, y, s=size, color=colour, alpha=alpha, linewidths=0)


def lines(panel: Axes, points: Tensor, density: Tensor, colour: str, **look: Any) -> None:
    """Lines of equal density around half of the mass and nine tenths of it; `points` is a lattice that holds it all."""
    cells = round(len(points) ** 0.5)
    x, y = points.view(cells, cells, 2).permute(2, 0, 1).numpy()
    heights = [height_around(density, mass) for mass in MASSES]
    panel.contour(x, y, density.view(cells, cells).numpy(), levels=heights, colors=colour, **look)


def height_around(density: Tensor, mass: float) -> float:
    """The height above which this share of a density on a grid lies."""
    falling = density.sort(descending=True).values
    reached = falling.cumsum(0) / falling.sum()
    return float(falling[int((reached < mass).sum())])


def shaded(panel: Axes, densities: Sequence[Tensor], x: tuple[float, float], y: tuple[float, float]) -> None:
    """Densities on a lattice as inks on white, one colour each, all as dark where they are at their highest."""
    inks = np.array([[int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)] for colour in CLASSES])
    paper = np.ones((len(densities[0]), 3))
    for density, ink in zip(densities, inks, strict=True):
        paper -= (density / density.max()).numpy()[:, None] * (1 - ink)
    cells = round(len(paper) ** 0.5)
    panel.imshow(paper.clip(0, 1).reshape(cells, cells, 3), origin="lower", extent=(*x, *y), interpolation="bilinear")


def over_noise(panel: Axes, name: str) -> None:
    """A panel over the noise level, from noise at the left to data at the right."""
    panel.set(xscale="log", xlabel="noise level sigma / alpha", ylabel=name)
    if not panel.xaxis_inverted():
        panel.invert_xaxis()
    panel.grid(True)
