"""What large weights sharpen a class to: CFG, Characteristic Guidance, and the density they stand for.

Zheng & Lan 2023 (ICML 2024), arXiv:2312.07586: CFG leaves the Fokker-Planck equation, their correction keeps to it.
For Gaussians N(m, s^2 I) all of it is known: the density is the product p_c^w p_u^(1-w), Gaussian with precision
w / s_c^2 + (1 - w) / s_u^2, and CFG's ordinary differential equation ends at the spread s_c^w s_u^(1-w).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor

from evaluation.plane import three_gaussians
from evaluation.plane.canvas import GREEN, ORANGE, canvas, dots, in_plane, lattice, lines
from evaluation.plane.cloud import Cloud, sampled
from evaluation.plane.measures import Moments, spread
from evaluation.plane.model import Plane
from evaluation.plane.picture import Cell, Picture
from guidance.samplers import Heun
from service.plots import INK

SAMPLER = Heun(steps=24, spacing="karras")
COUNT = 400
WEIGHTS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
SHOWN = 3.0
COND_STD, NULL_STD = 0.5, 1.0
PAIR = Plane([(0.6, 0.0), (0.0, 0.0)], [COND_STD, NULL_STD], [0, 1])
"""Class 0 guided away from class 1: one Gaussian each."""
MIXTURE = three_gaussians.PLANE
COLOURS = {"CFG": ORANGE, "Characteristic": GREEN}
EXTENT = ((-1.2, 2.6), (-1.9, 1.9))
MIXTURE_EXTENT = ((-1.9, 1.9), (-0.4, 3.4))


def guidance(name: str, weight: float) -> dict[str, Any]:
    """Characteristic Guidance without a projection, which is the method as derived."""
    combiners = {"CFG": {"type": "cfg"}, "Characteristic": {"type": "characteristic", "basis": None}}
    return {"combiner": combiners[name], "schedule": {"type": "constant", "weight": weight}}


def pair(name: str, weight: float, count: int = COUNT) -> Cloud:
    return sampled(PAIR, guidance(name, weight), count, against=1, sampler=SAMPLER)


def mixture(name: str, weight: float, count: int = COUNT) -> Cloud:
    return sampled(MIXTURE, guidance(name, weight), count, sampler=SAMPLER)


def product_std(weight: float) -> float:
    """Of p_c^w p_u^(1-w)."""
    return 1 / math.sqrt(weight / COND_STD**2 + (1 - weight) / NULL_STD**2)


def cfg_std(weight: float) -> float:
    """Where CFG ends, from infinite noise."""
    return math.pow(COND_STD, weight) * math.pow(NULL_STD, 1 - weight)


def picture() -> Picture:
    pairs = {name: [pair(name, weight) for weight in WEIGHTS] for name in COLOURS}
    mixtures = {name: [mixture(name, weight) for weight in WEIGHTS] for name in COLOURS}
    figure = canvas(6.9)
    above, below = figure.subplots(2, 3)
    place = WEIGHTS.index(SHOWN)
    grids = lattice((-4, 4), (-4, 4)), lattice((-4, 4), (-4, 4))
    densities = product(grids[0], SHOWN), MIXTURE.sharpened(grids[1], 0, SHOWN)
    titles = f"one Gaussian, w = {SHOWN:g}: ", f"one of three, w = {SHOWN:g}: "
    for panels, clouds, grid, density, title in zip(
        (above, below), (pairs, mixtures), grids, densities, titles, strict=True
    ):
        for panel, (name, colour) in zip(panels, COLOURS.items(), strict=False):
            dots(panel, clouds[name][place].points, colour, size=6)
            lines(panel, grid, density, INK, linewidths=1.0)
            panel.set_title(title + name, fontsize=9.5)
    in_plane(above[:2], *EXTENT)
    in_plane(below[:2], *MIXTURE_EXTENT)
    spreads(above[2], pairs)
    apart(below[2], mixtures)
    rows = [row(k, weight, pairs, mixtures) for k, weight in enumerate(WEIGHTS)]
    columns = ["w", "spread: density", "CFG, in theory", "CFG", "Characteristic"]
    columns += ["three: Fréchet, CFG", "Fréchet, Characteristic", "evaluations, CFG", "at most, Characteristic"]
    specs = {f"{name}, w = {weight:g}": guidance(name, weight) for name in COLOURS for weight in WEIGHTS}
    return Picture(figure, columns, rows, COUNT, specs, SAMPLER)


def product(grid: Tensor, weight: float) -> Tensor:
    """p_c^w p_u^(1-w) on a grid."""
    return PAIR.density(grid, 0) ** weight * PAIR.density(grid, 1) ** (1 - weight)


def spreads(panel: Axes, clouds: dict[str, list[Cloud]]) -> None:
    """Theory as lines, samples as marks."""
    weights = torch.linspace(1, WEIGHTS[-1], 60).tolist()
    panel.plot(weights, [product_std(w) for w in weights], color=INK, linewidth=1, label="the density")
    panel.plot(weights, [cfg_std(w) for w in weights], "--", color=INK, linewidth=1, label="CFG, in theory")
    for (name, found), mark in zip(clouds.items(), "os", strict=True):
        panel.plot(WEIGHTS, [spread(cloud.points) for cloud in found], mark, color=COLOURS[name], label=name)
    panel.set(xlabel="w", ylabel="standard deviation", ylim=(0, None))
    panel.set_title("one Gaussian: spread")
    panel.legend(fontsize=8.5)
    panel.grid(True)


def apart(panel: Axes, clouds: dict[str, list[Cloud]]) -> None:
    for (name, found), mark in zip(clouds.items(), ("o-", "s-"), strict=True):
        distances = [distance(weight, cloud) for weight, cloud in zip(WEIGHTS, found, strict=True)]
        panel.plot(WEIGHTS, distances, mark, color=COLOURS[name], label=name)
    panel.set(xlabel="w", ylabel="Fréchet distance", ylim=(0, None))
    panel.set_title("one of three: distance from it")
    panel.legend(fontsize=8.5)
    panel.grid(True)


def distance(weight: float, cloud: Cloud) -> float:
    """Of the first of three Gaussians from its sharpened density."""
    grid = lattice((-4, 4), (-4, 4))
    return Moments.of(cloud.points).frechet(Moments.of(grid, MIXTURE.sharpened(grid, 0, weight)))


def row(k: int, weight: float, pairs: dict[str, list[Cloud]], mixtures: dict[str, list[Cloud]]) -> list[Cell]:
    return [
        weight,
        product_std(weight),
        cfg_std(weight),
        *(spread(pairs[name][k].points) for name in COLOURS),
        *(distance(weight, mixtures[name][k]) for name in COLOURS),
        *(str(mixtures[name][k].evaluations) for name in COLOURS),
    ]
