"""Fréchet distance between Gaussians fitted to features. Heusel et al. 2017, arXiv:1706.08500, eq. 6.

|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)). Its features are ours, so its numbers compare with no one else's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from evaluation.statistic import Statistic, Weights

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Mean (d,) and covariance (d, d)."""

    mean: Floats
    covariance: Floats

    @classmethod
    def of(cls, features: Floats, weights: Weights | None = None) -> Self:
        """Fitted to features (N, d), each counted so often; the covariance has the unbiased N - 1."""
        weights = np.ones(len(features)) if weights is None else weights
        total = weights.sum()
        mean = weights @ features / total
        centred = features - mean
        return cls(mean, (centred * weights[:, None]).T @ centred / (total - 1))

    @cached_property
    def root(self) -> Floats:
        """The symmetric square root of the covariance."""
        values, vectors = np.linalg.eigh(self.covariance)
        root: Floats = (vectors * np.sqrt(values.clip(0))) @ vectors.T
        return root


def distance(a: Gaussian, b: Gaussian) -> float:
    """Squared, as FID is. Symmetric up to rounding; the square root of `b` alone is taken, once."""
    # (C_a C_b)^(1/2) has the eigenvalues of (B C_a B)^(1/2) for B = C_b^(1/2), which is symmetric
    product = np.linalg.eigvalsh(b.root @ a.covariance @ b.root)
    traces = np.trace(a.covariance) + np.trace(b.covariance) - 2 * np.sqrt(product.clip(0)).sum()
    return float(np.square(a.mean - b.mean).sum() + traces)


def fid(features: Floats, real: Gaussian) -> Statistic:
    """Of features (N, d) against those of real pictures."""
    return lambda weights: distance(Gaussian.of(features, weights), real)
