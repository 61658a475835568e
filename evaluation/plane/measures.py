"""What is read off a cloud of points (N, 2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from evaluation.fid import Gaussian, distance
from evaluation.plane.model import Plane
from guidance.noise import CLEAN, Level


def share_of_class(plane: Plane, points: Tensor, label: int) -> float:
    """How many points the model itself takes for the class."""
    labels = range(int(plane.owners.max()) + 1)
    posteriors = [plane.log_probability(points.view(-1, 2, 1, 1), CLEAN, [k]) for k in labels]
    return float((torch.stack(posteriors).argmax(0) == label).double().mean())


def components(plane: Plane, points: Tensor, label: int) -> Tensor:
    """The component (N,) of the class that each point most likely is of."""
    return plane.log_joint(points).where(plane.of(label), -math.inf).argmax(1)


def shares_of_components(plane: Plane, points: Tensor, label: int) -> Tensor:
    """How many points each component of the class has, (K,)."""
    return torch.bincount(components(plane, points, label), minlength=len(plane.owners)) / len(points)


def squared_distance(plane: Plane, points: Tensor, label: int) -> float:
    """Of a point from the mean of its component, on average."""
    means = plane.means.flatten(1)[components(plane, points, label)]
    return float((points - means).square().sum(1).mean())


def spread(points: Tensor) -> float:
    """Standard deviation of a coordinate, the root of the mean over both."""
    return float(points.var(0).mean().sqrt())


def drift(plane: Plane, noisy: Tensor, label: int, level: Level) -> float:
    """How far noisy points are from where those of the class are at this level, in standard deviations of the latter.

    Between the means. The class at a level is known: its means times alpha, its variances plus sigma^2.
    """
    weights = plane.prior[plane.of(label)] / plane.prior[plane.of(label)].sum()
    means, stds = level.alpha * plane.means.flatten(1)[plane.of(label)], level.alpha * plane.stds[plane.of(label)]
    mean = weights @ means
    variance = weights @ (stds.square() + level.sigma**2 + (means - mean).square().mean(1))
    return float((noisy.mean(0) - mean).norm() / variance.sqrt())


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean (2,) and covariance (2, 2)."""

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, points: Tensor, weights: Tensor | None = None) -> Moments:
        """Of points (N, 2), or of a density on a grid: `weights` (N,), not normalised."""
        share = torch.full((len(points),), 1 / len(points)).to(points) if weights is None else weights / weights.sum()
        mean = share @ points
        offset = points - mean
        return cls(mean, (share[:, None] * offset).T @ offset)

    def frechet(self, other: Moments) -> float:
        """Frechet distance of the Gaussians that have these moments: what FID is, in the plane itself."""
        return distance(self._gaussian(), other._gaussian())

    def _gaussian(self) -> Gaussian:
        return Gaussian(self.mean.double().numpy(), self.covariance.double().numpy())
