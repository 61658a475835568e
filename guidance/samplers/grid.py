"""Noise grids: at which levels a solver evaluates the network. The same grids as diffusers' schedulers, without torch.

The gateway plans with them and the worker runs on them; a test holds each against diffusers for every solver, spacing
and step count. Spacings are those of Lin et al. 2023, arXiv:2305.08891, table 2, and Karras et al. 2022,
arXiv:2206.00364, eq. 5.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from guidance.noise import Array, Level, NoiseTable

Spacing = Literal["leading", "trailing", "linspace", "karras"]

KARRAS_RHO = 7.0
SMALLEST_SIGNAL = 2.0**-24
"""Stands for a zero alpha_bar where a solver divides by it, as in diffusers."""


def spaced(steps: int, table: NoiseTable, spacing: Spacing, *, between: bool, rounded: bool) -> Array:
    """`steps` training timesteps, descending.

    between: leave out the last of `steps` + 1 points, as multistep solvers do. rounded: whole timesteps for linspace.
    """
    train = table.num_train_timesteps
    points = steps + between
    if spacing == "linspace":
        t = np.linspace(0, train - 1, points, dtype=np.float64 if rounded else np.float32).astype(np.float64)
        t = t.round() if rounded else t
        return np.asarray(t[::-1][:steps])
    if spacing == "leading":
        return np.asarray((np.arange(points) * (train // points))[::-1][:steps] + table.steps_offset, dtype=np.float64)
    t = np.arange(train, 0, -train / steps)[:steps]  # rounding may add a point below zero
    return np.asarray(t.round() - 1, dtype=np.float64)


def karras(steps: int, high: float, low: float) -> Array:
    """sigma / alpha from `high` to `low`, evenly spaced in the rho-th root."""
    ramp = np.linspace(0, 1, steps)
    top, bottom = high ** (1 / KARRAS_RHO), low ** (1 / KARRAS_RHO)
    return np.asarray((top + ramp * (bottom - top)) ** KARRAS_RHO)


def karras_levels(steps: int, table: NoiseTable, *, rounded: bool) -> list[Level]:
    """Karras' spacing over the whole range of the table. rounded: whole timesteps, for networks asked only at those."""
    ratios = finite(table.ratios)
    sigmas = karras(steps, ratios[-1], ratios[0])
    t = time_of(sigmas, ratios)
    return levels(t.round() if rounded else t, sigmas)


def time_of(ratio: Array, table_ratios: Array) -> Array:
    """The training time at which the noise level is `ratio`, interpolated in its logarithm."""
    return np.asarray(np.interp(np.log(ratio), np.log(table_ratios), np.arange(len(table_ratios), dtype=np.float64)))


def levels(t: Array, ratio: Array) -> list[Level]:
    return [Level.variance_preserving(float(a), float(b)) for a, b in zip(t, ratio, strict=True)]


def at_times(t: Array, table: NoiseTable, *, exact_zero_snr: bool) -> list[Level]:
    """Levels at (possibly fractional) training timesteps.

    exact_zero_snr: keep an infinite last ratio (solvers that work on alpha_bar) or replace it by a large finite one.
    """
    ratios = table.ratios if exact_zero_snr else finite(table.ratios)
    return levels(t, np.interp(t, np.arange(len(ratios)), ratios))


def finite(ratios: Array) -> Array:
    """The table with an infinite last entry replaced as diffusers' sigma solvers do."""
    top = np.sqrt((1 - SMALLEST_SIGNAL) / SMALLEST_SIGNAL)
    return np.where(np.isinf(ratios), top, ratios)
