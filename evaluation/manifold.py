"""Precision and recall by nearest neighbours, and their steadier successors, density and coverage.

Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 1 and 2; Naeem et al. 2020, arXiv:2002.09797, eq. 2 and 3. A set's
manifold is made of balls: one around each of its points, as far as its k-th nearest neighbour in the set.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from evaluation.statistic import Statistic, Weights, mean

Floats = NDArray[np.float64]
K_PRECISION, K_DENSITY = 3, 5
"""Neighbours, as in either paper."""
LISTED = 16
"""Nearest neighbours that are remembered of each point, to find the k-th of those that are in a resample."""


def radii(features: Floats, k: int) -> Floats:
    """Distance of each of N > k points (N, d) to its k-th nearest neighbour in the set."""
    if len(features) <= k:
        raise ValueError(f"{len(features)} points have no k-th neighbours for k = {k}: more than k are needed")
    sorted_to_k: Floats = np.partition(cdist(features, features), k, axis=1)
    return sorted_to_k[:, k]  # of all, the point itself is the nearest


class Manifolds:
    """Real points (M, d) and generated ones (N, d), whose resamples count."""

    def __init__(
        self, real: Floats, generated: Floats, k_precision: int = K_PRECISION, k_density: int = K_DENSITY
    ) -> None:
        self._real, self._generated = real, generated
        self._k, self._k_density = k_precision, k_density

    @cached_property
    def _between(self) -> Floats:
        """(M, N)."""
        apart: Floats = cdist(self._real, self._generated)
        return apart

    def precision(self) -> Statistic:
        """Share of the generated points within the real manifold."""
        inside = self._between < radii(self._real, self._k)[:, None]
        return mean(np.asarray(inside.any(0), np.float64))

    def density(self) -> Statistic:
        """How many real balls hold a generated point, over k; 1 for equal distributions, more where they are packed."""
        inside = self._between < radii(self._real, self._k_density)[:, None]
        return mean(np.asarray(inside.sum(0), np.float64) / self._k_density)

    def coverage(self) -> Statistic:
        """Share of the real balls that hold a generated point."""
        inside = (self._between < radii(self._real, self._k_density)[:, None]).astype(np.float32)
        return lambda weights: float((inside @ weights.astype(np.float32) > 0).mean())

    def recall(self) -> Statistic:
        """Share of the real points within the manifold of those generated points that are in a resample."""
        neighbours = Neighbours(self._generated, self._k)

        def statistic(weights: Weights) -> float:
            present = weights > 0
            reach = np.where(present, neighbours.radii(present), 0.0)
            return float((self._between < reach).any(1).mean())

        return statistic


class Neighbours:
    """The nearest neighbours of each point of a set (N, d), nearest first."""

    def __init__(self, features: Floats, k: int) -> None:
        self._k = k
        apart = cdist(features, features)
        np.fill_diagonal(apart, np.inf)
        count = min(LISTED, len(features) - 1)
        order = np.argpartition(apart, count - 1, axis=1)[:, :count]
        near = np.take_along_axis(apart, order, 1)
        sorting = np.argsort(near, axis=1)
        self._indices = np.take_along_axis(order, sorting, 1)
        self._distances = np.take_along_axis(near, sorting, 1)

    def radii(self, present: NDArray[np.bool_]) -> Floats:
        """Distance (N,) to the k-th nearest that is present; to the last listed where so many are not among those.

        Two thirds of the points are present in a resample: fewer than 3 of 16 are, once in a hundred thousand times.
        """
        counted = present[self._indices].cumsum(1) >= self._k
        place = np.where(counted.any(1), counted.argmax(1), counted.shape[1] - 1)
        return np.take_along_axis(self._distances, place[:, None], 1)[:, 0]
