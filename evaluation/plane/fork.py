"""A class that is a fork, by a model that has not learned it quite: what sharpens it, and what loses a branch of it.

Karras et al. 2024, arXiv:2406.02507, figure 1: guiding with the model's own weaker version removes outliers and keeps
the branches, guiding with the unconditional model does not. Here an imperfect model is the truth blurred, its weaker
version the truth blurred more; CFG, its cures and CFG++ run on the imperfect model as it is.
"""

from __future__ import annotations

from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor

from evaluation.plane.canvas import BLUE, ORANGE, canvas, dots, in_plane
from evaluation.plane.cloud import SAMPLER, Cloud, sampled
from evaluation.plane.measures import Moments, components, share_of_class
from evaluation.plane.model import Plane
from evaluation.plane.picture import Cell, Picture
from guidance.samplers import DDIM, AnySampler
from service.plots import FAINT

COUNT = 600
STDS = {"truth": 0.08, "model": 0.14, "weaker": 0.24}
ON_A_LIMB = 8
LIMBS = (((-1.5, 0.0), (-0.3, 0.1)), ((-0.3, 0.1), (0.7, 1.0)), ((-0.3, 0.1), (0.9, -0.15)))
"""Of class 0: the stem, the branch away from class 1 and the one beside it."""
CENTRE = (0.0, -0.4)
"""Class 1 is class 0 turned by 180 degrees around it."""
OUTLIERS = 0.01
"""Points where the true density is lower than at all but this share of true points are outliers."""
EXTENT = ((-1.9, 1.9), (-2.1, 1.5))
DDIM_STEPS = DDIM(steps=50)


def components_of(std: float, id: str) -> Plane:
    """The two forks as Gaussians along their limbs."""
    shares = [(k + 0.5) / ON_A_LIMB for k in range(ON_A_LIMB)]
    first = [(a + s * (c - a), b + s * (d - b)) for (a, b), (c, d) in LIMBS for s in shares]
    second = [(2 * CENTRE[0] - x, 2 * CENTRE[1] - y) for x, y in first]
    return Plane([*first, *second], std, [0] * len(first) + [1] * len(second), id=id)


TRUTH, MODEL, WEAKER = (components_of(std, name) for name, std in STDS.items())

STRONG = {"type": "constant", "weight": 3}
SPECS: dict[str, dict[str, Any]] = {
    "model, w = 1": {"schedule": {"type": "constant", "weight": 1}},
    "CFG, w = 3": {"schedule": STRONG},
    "CFG, w = 3 in (0.1, 0.6]": {"schedule": {"type": "interval", "weight": 3, "sigma_low": 0.1, "sigma_high": 0.6}},
    "Dynamic CFG, w = 3": {"schedule": {"type": "dynamic_cfg", "weight": 3}},
    "CFG++, 0.2": {"combiner": {"type": "cfgpp"}, "schedule": {"type": "constant", "weight": 0.2}},
    "CFG++, 0.6": {"combiner": {"type": "cfgpp"}, "schedule": {"type": "constant", "weight": 0.6}},
    "Characteristic, w = 3": {"combiner": {"type": "characteristic", "basis": None}, "schedule": STRONG},
    "autoguidance, w = 2": {
        "combiner": {"type": "autoguidance", "model": "weaker"},
        "schedule": {"type": "constant", "weight": 2},
    },
}


NOT_DRAWN = ("CFG++, 0.6",)


def sampler_of(name: str) -> AnySampler:
    """CFG++ is defined for solvers of first order."""
    return DDIM_STEPS if name.startswith("CFG++") else SAMPLER


def cloud(name: str, count: int = COUNT) -> Cloud:
    return sampled(MODEL, SPECS[name], count, sampler=sampler_of(name), weaker=WEAKER)


def picture() -> Picture:
    clouds = {name: cloud(name) for name in SPECS}
    points = {"the truth": TRUTH.drawn(0, COUNT, seed=1)} | {name: found.points for name, found in clouds.items()}
    figure = canvas(5.6)
    panels = figure.subplots(2, 4, sharex=True, sharey=True)
    for panel, name in zip(panels.flat, (name for name in points if name not in NOT_DRAWN), strict=True):
        drawn(panel, points[name])
        panel.set_title(name)
    for row_of_panels in panels:
        in_plane(row_of_panels, *EXTENT)
    for panel in panels[0]:
        panel.set_xlabel("")
    columns = ["", "outliers", "stem", "far branch", "near branch", "own class", "Fréchet", "evaluations"]
    spent = {name: str(found.evaluations) for name, found in clouds.items()}
    rows: list[list[Cell]] = [[name, *numbers(shown), spent.get(name)] for name, shown in points.items()]
    return Picture(figure, columns, rows, COUNT, SPECS, SAMPLER)


def drawn(panel: Axes, points: Tensor) -> None:
    """The limbs of both classes, and the points: outliers apart."""
    for (a, b), (c, d) in LIMBS:
        panel.plot([a, c], [b, d], color=BLUE, linewidth=7, alpha=0.15, solid_capstyle="round")
        turned = [2 * CENTRE[0] - a, 2 * CENTRE[0] - c], [2 * CENTRE[1] - b, 2 * CENTRE[1] - d]
        panel.plot(*turned, color=FAINT, linewidth=7, alpha=0.15, solid_capstyle="round")
    off = outlying(points)
    dots(panel, points[~off], BLUE, size=4, alpha=0.6)
    dots(panel, points[off], ORANGE, size=7, alpha=0.9)


def outlying(points: Tensor) -> Tensor:
    """Which points (N,) are less likely under the truth than nearly all of it."""
    likely = TRUTH.density(TRUTH.drawn(0, 20_000, seed=3), 0)
    return TRUTH.density(points, 0) < likely.quantile(OUTLIERS)


def limbs(points: Tensor) -> Tensor:
    """Shares (3,) of the points on the stem and the two branches."""
    which = components(TRUTH, points, 0) // ON_A_LIMB
    return torch.bincount(which, minlength=len(LIMBS)) / len(points)


def numbers(points: Tensor) -> list[float]:
    """Outliers, shares of the limbs, those that are the class's by the truth, and how far the moments are from it."""
    exact = Moments.of(TRUTH.drawn(0, 20_000, seed=3))
    return [
        float(outlying(points).double().mean()),
        *limbs(points).tolist(),
        share_of_class(TRUTH, points, 0),
        Moments.of(points).frechet(exact),
    ]
