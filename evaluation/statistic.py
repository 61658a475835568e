"""A number of a set of images, as a function of how often each of them counts: what a bootstrap asks for again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]
"""How often each of N images counts (N,), 0 included; all ones for the images as they are."""
Statistic = Callable[[Weights], float]


def ratio(values: NDArray[np.float64], over: NDArray[np.float64]) -> Statistic:
    """Sum of values (N,) by sum of `over` (N,); NaN where that is 0."""

    def statistic(weights: Weights) -> float:
        total = float(weights @ over)
        return float(weights @ values) / total if total else float("nan")

    return statistic


def mean(values: NDArray[np.float64]) -> Statistic:
    """Of values (N,), those that are NaN left out."""
    known = np.isfinite(values)
    return ratio(np.where(known, values, 0.0), known.astype(np.float64))
