"""Intervals by resampling images with replacement. Efron & Tibshirani 1993, An Introduction to the Bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.statistic import Statistic, Weights

RESAMPLES = 400
SEED = 20_261_103
TAILS = (0.025, 0.975)


@dataclass(frozen=True, eq=False)
class Replicates:
    """A number and what it comes to in each resample. Two of the same images' questions resample the same questions."""

    value: float
    drawn: NDArray[np.float64]
    """(RESAMPLES,)."""

    def __sub__(self, other: Replicates) -> Replicates:
        """The difference, question by question: what both have in common falls out of its interval."""
        return Replicates(self.value - other.value, self.drawn - other.drawn)

    @property
    def interval(self) -> tuple[float, float]:
        """95 %: the percentiles of the resamples, moved so that their mean is the value.

        A resample holds fewer different images, which alone raises FID and lowers coverage; the move takes that out.
        """
        if not np.isfinite(self.drawn).any():
            return float("nan"), float("nan")
        low, high = np.nanquantile(self.drawn, TAILS) - np.nanmean(self.drawn) + self.value
        return float(low), float(high)


def resamples(count: int, seed: int = SEED) -> NDArray[np.float64]:
    """How often each of `count` images counts in each resample, (RESAMPLES, count)."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(np.float64)


def bootstrapped(statistic: Statistic, drawn: NDArray[np.float64]) -> Replicates:
    """The statistic of the images as they are, and of each resample."""
    as_they_are: Weights = np.ones(drawn.shape[1])
    return Replicates(statistic(as_they_are), np.array([statistic(weights) for weights in drawn]))
