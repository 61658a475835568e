"""Three Gaussians, each a class, under growing weights. Ho & Salimans 2022, arXiv:2207.12598, figure 2.

Theirs are densities: p(x | class) p(class | x)^w', normalised, with w' = w - 1. Sampling with the guided score does not
lead to them (Chidambaram et al. 2024, arXiv:2409.13074), so both are drawn.
"""

from __future__ import annotations

import math

from torch import Tensor

from evaluation.plane.canvas import CLASSES, canvas, dots, in_plane, lattice, lines, shaded
from evaluation.plane.cloud import SAMPLER, sampled
from evaluation.plane.measures import Moments, share_of_class, spread
from evaluation.plane.model import Plane
from evaluation.plane.picture import Picture

WEIGHTS = (1.0, 2.0, 3.0, 5.0)
COUNT = 500
STD = 0.6
X, Y = (-3.3, 3.3), (-2.6, 3.4)
ANGLES = [math.pi / 2 + 2 * math.pi / 3 * k for k in range(3)]
PLANE = Plane([(math.cos(angle), math.sin(angle)) for angle in ANGLES], STD, [0, 1, 2])


def guidance(weight: float) -> dict[str, object]:
    return {"schedule": {"type": "constant", "weight": weight}}


def clouds(weight: float, count: int = COUNT) -> list[Tensor]:
    """Points of each class."""
    return [sampled(PLANE, guidance(weight), count, label=k).points for k in range(3)]


def picture() -> Picture:
    grid, figure = lattice((-4, 4), (-4, 4)), canvas(5.1)
    rows = []
    above, below = figure.subplots(2, len(WEIGHTS), sharex=True, sharey=True)
    shown = lattice(X, Y)
    for high, low, weight in zip(above, below, WEIGHTS, strict=True):
        shaded(high, [PLANE.sharpened(shown, k, weight) for k in range(3)], X, Y)
        points = clouds(weight)
        for k, colour in enumerate(CLASSES):
            dots(low, points[k], colour)
            lines(low, grid, PLANE.sharpened(grid, k, weight), colour, linewidths=0.9)
        high.set_title(f"w = {weight:g}" + (", not guided" if weight == 1 else f" (theirs: {weight - 1:g})"))
        rows.append(row(weight, points[0], grid))
    in_plane(above, X, Y)
    in_plane(below, X, Y)
    for panel in above:
        panel.set_xlabel("")
    above[0].set_ylabel("density p(x | c) p(c | x)^(w - 1)")
    below[0].set_ylabel("samples of CFG")
    quantities = ("mean", "spread", "own class")
    columns = ["w", *(f"{name}, {what}" for name in quantities for what in ("density", "CFG"))]
    specs = {f"w = {weight:g}": guidance(weight) for weight in WEIGHTS}
    return Picture(figure, columns, rows, COUNT, specs, SAMPLER, shades=True)


def row(weight: float, points: Tensor, grid: Tensor) -> list[float]:
    """Distance of the first class's mean from the middle, its spread, and how much of it is taken for it."""
    density = PLANE.sharpened(grid, 0, weight)
    exact = Moments.of(grid, density)
    own = PLANE.log_joint(grid).argmax(1) == 0
    return [
        weight,
        float(exact.mean.norm()),
        float(points.mean(0).norm()),
        math.sqrt(float(exact.covariance.trace()) / 2),
        spread(points),
        float(density[own].sum() / density.sum()),
        share_of_class(PLANE, points, 0),
    ]
