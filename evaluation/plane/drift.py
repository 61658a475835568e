"""Trajectories without guidance, under a constant weight and under the same weight in an interval of noise levels.

Kynkäänniemi et al. 2024, arXiv:2404.07724: at high noise guidance drives samples away from the data.
"""

from __future__ import annotations

from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor

from evaluation.plane import measures
from evaluation.plane.canvas import BLUE, GREEN, ORANGE, SKY, canvas, dots, in_plane, lattice, lines, over_noise
from evaluation.plane.cloud import SAMPLER, Cloud, sampled
from evaluation.plane.picture import Cell, Picture
from evaluation.plane.two_classes import EXTENT, FAR, INTERVAL, NEAR, PLANE
from service.plots import FAINT, INK

WEIGHT = 5.0
COUNT, SHOWN = 1000, 60
"""Points that are counted, and whose paths are drawn."""
COLOURS = {NEAR: SKY, FAR: BLUE}
"""Of a path, by the component that it ends in."""
SPECS: dict[str, dict[str, Any]] = {
    "not guided, w = 1": {"schedule": {"type": "constant", "weight": 1}},
    "constant, w = 5": {"schedule": {"type": "constant", "weight": WEIGHT}},
    "w = 5 in (0.2, 0.8]": {"schedule": {"type": "interval", "weight": WEIGHT} | INTERVAL},
}
LINES = {name: colour for name, colour in zip(SPECS, (FAINT, ORANGE, GREEN), strict=True)}


def picture() -> Picture:
    clouds = {name: sampled(PLANE, spec, COUNT) for name, spec in SPECS.items()}
    figure = canvas(6.9)
    above, below = figure.subplots(2, 3, height_ratios=(3, 2.6))
    for panel, (name, cloud) in zip(above, clouds.items(), strict=True):
        paths(panel, cloud)
        panel.set_title(name)
    in_plane(above, *EXTENT)
    along(below[0], clouds["constant, w = 5"], "constant, w = 5: along the push")
    along(below[1], clouds["w = 5 in (0.2, 0.8]"], "w = 5 in (0.2, 0.8]: along the push")
    below[1].sharey(below[0])
    below[0].set_ylabel("coordinate away from class 1")
    for name, cloud in clouds.items():
        drifted(below[2], name, cloud)
    over_noise(below[2], "standard deviations")
    below[2].axvspan(INTERVAL["sigma_low"], INTERVAL["sigma_high"], color=GREEN, alpha=0.12, linewidth=0)
    below[2].set_title("their mean, from that of the class")
    below[2].legend(fontsize=8.5, loc="center right")
    columns = ["", "near mode", "far mode", "squared distance", "own class", "farthest drift", "evaluations"]
    rows = [row(name, cloud) for name, cloud in clouds.items()]
    return Picture(figure, columns, [exact(), *rows], COUNT, SPECS, SAMPLER)


def paths(panel: Axes, cloud: Cloud) -> None:
    """Paths in x, the components of both classes behind them."""
    grid = lattice(*EXTENT)
    for label, colour in enumerate((BLUE, ORANGE)):
        lines(panel, grid, PLANE.density(grid, label), colour, linewidths=1.0)
    ends = measures.components(PLANE, cloud.points, 0)
    for k, colour in COLOURS.items():
        for path in cloud.path[:, :SHOWN][:, ends[:SHOWN] == k].unbind(1):
            panel.plot(*path.T.numpy(), color=colour, linewidth=0.6, alpha=0.6)
        dots(panel, cloud.points[:SHOWN][ends[:SHOWN] == k], colour, size=11, alpha=1)
    panel.plot(*PLANE.means.flatten(1)[PLANE.of(0)].T.numpy(), "+", color=INK, markersize=9)


def along(panel: Axes, cloud: Cloud, title: str) -> None:
    """One coordinate of the paths over the noise, in front of where nine tenths of the class are at each level."""
    away = PLANE.means.flatten(1)[PLANE.of(0)].mean(0) - PLANE.means.flatten(1).mean(0)
    away = away / away.norm()
    ratios = [level.ratio for level in cloud.levels]
    bands = torch.stack([quantiles(level.alpha, level.sigma, away) for level in cloud.levels])
    panel.fill_between(ratios, *bands.T.numpy(), color=FAINT, alpha=0.25, linewidth=0)
    panel.plot(ratios, (cloud.path[:-1, :SHOWN] @ away).numpy(), color=BLUE, linewidth=0.5, alpha=0.6)
    over_noise(panel, "")
    panel.set_title(title)


def quantiles(alpha: float, sigma: float, away: Tensor) -> Tensor:
    """Between which (2,) nine tenths of the class lie at a level, along a direction."""
    clean = PLANE.drawn(0, 4000, seed=1) @ away
    noise = torch.randn(4000, generator=torch.Generator().manual_seed(2), dtype=clean.dtype)
    return (alpha * clean + sigma * noise).quantile(torch.tensor([0.05, 0.95], dtype=clean.dtype))


def drifts(cloud: Cloud) -> list[float]:
    """Of the cloud from the class, at the beginning of each step."""
    return [measures.drift(PLANE, noisy, 0, level) for noisy, level in zip(cloud.path[:-1], cloud.levels, strict=True)]


def drifted(panel: Axes, name: str, cloud: Cloud) -> None:
    panel.plot([level.ratio for level in cloud.levels], drifts(cloud), color=LINES[name], label=name)


def row(name: str, cloud: Cloud) -> list[Cell]:
    shares = measures.shares_of_components(PLANE, cloud.points, 0)
    return [
        name,
        float(shares[NEAR]),
        float(shares[FAR]),
        measures.squared_distance(PLANE, cloud.points, 0),
        measures.share_of_class(PLANE, cloud.points, 0),
        max(drifts(cloud)),
        str(cloud.evaluations),
    ]


def exact() -> list[Cell]:
    """Of points that are drawn from the class itself."""
    points = PLANE.drawn(0, 20_000, seed=1)
    shares = measures.shares_of_components(PLANE, points, 0)
    distance = measures.squared_distance(PLANE, points, 0)
    own = measures.share_of_class(PLANE, points, 0)
    return ["the class itself", float(shares[NEAR]), float(shares[FAR]), distance, own, 0.0, None]
