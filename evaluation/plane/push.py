"""Where guidance pushes: the difference of the two denoised estimates, over the plane and over the noise levels."""

from __future__ import annotations

import torch
from matplotlib.axes import Axes
from torch import Tensor

from evaluation.plane.canvas import BLUE, GREEN, ORANGE, canvas, in_plane, lattice, lines, over_noise
from evaluation.plane.picture import Picture
from evaluation.plane.two_classes import EXTENT, INTERVAL, PLANE
from guidance.noise import Level
from guidance.prediction import Prediction
from guidance.protocol import Branch
from service.plots import INK

SIGMAS = (5.0, 1.2, 0.5, 0.1)
COUNT = 2000
CURVE = 30
"""Levels of the curve."""
ARROWS = 13
"""Each way."""


def picture() -> Picture:
    figure = canvas(5.9)
    halves = figure.add_gridspec(2, 1, height_ratios=(1, 0.95))
    above, below = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
    panels = above.subplots(1, len(SIGMAS), sharey=True)
    for panel, sigma in zip(panels, SIGMAS, strict=True):
        field(panel, sigma)
    in_plane(panels, *EXTENT)
    ratios = torch.logspace(1, -1.5, CURVE).tolist()
    found = [felt(ratio) for ratio in ratios]
    size, agreement = below.subplots(1, 2)
    size.plot(ratios, [length for length, _ in found], color=BLUE)
    size.set_title("length of the push, root mean square over the class")
    agreement.plot(ratios, [same for _, same in found], color=ORANGE)
    agreement.set_title("share of it that is the same for every point")
    for panel, name in ((size, "length"), (agreement, "share")):
        over_noise(panel, name)
        panel.set_ylim(0, None)
        panel.axvspan(INTERVAL["sigma_low"], INTERVAL["sigma_high"], color=GREEN, alpha=0.12, linewidth=0)
    rows = [[sigma, *felt(sigma)] for sigma in SIGMAS]
    return Picture(figure, ["sigma / alpha", "length", "same for every point"], rows, COUNT)


def field(panel: Axes, sigma: float) -> None:
    """The push at points of a lattice, longer than it is by the same factor everywhere, and both noisy classes."""
    level = Level.variance_preserving(0, sigma)
    grid, places = lattice(*EXTENT), lattice((-2.1, 2.7), (-2.1, 2.1), ARROWS)
    for label, colour in enumerate((BLUE, ORANGE)):
        lines(panel, grid, PLANE.density(grid, label, level), colour, linewidths=0.9)
    arrows = push(places, level)
    panel.quiver(*places.T.numpy(), *arrows.T.numpy(), color=INK, angles="xy", scale_units="xy", scale=2.5, width=0.006)
    panel.set_title(f"sigma / alpha = {sigma:g}")


def push(points: Tensor, level: Level) -> Tensor:
    """D(x | class 0) - D(x) (N, 2), which CFG takes w - 1 times more of, as the model answers a trajectory."""
    x = points.view(-1, 2, 1, 1)
    asked = [Branch("cond", x, level, PLANE.label(0)), Branch("uncond", x, level, PLANE.encode(None))]
    answers = PLANE.evaluate(asked)
    cond, uncond = (Prediction(x, level, answer, PLANE.info.prediction_type).denoised for answer in answers)
    return (cond - uncond).flatten(1)


def felt(sigma: float) -> tuple[float, float]:
    """On points of the noisy class: the push's root mean square length, and what its mean has of that."""
    level = Level.variance_preserving(0, sigma)
    noise = torch.randn(COUNT, 2, generator=torch.Generator().manual_seed(2), dtype=PLANE.dtype)
    pushes = push(level.alpha * PLANE.drawn(0, COUNT, seed=1) + level.sigma * noise, level)
    length = float(pushes.square().sum(1).mean().sqrt())
    return length, float(pushes.mean(0).norm()) / length
