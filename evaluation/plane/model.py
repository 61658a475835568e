"""Points of the plane as a model: the mixture of Gaussians that the service has, many points in one evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from guidance.models.gaussians import Gaussians
from guidance.noise import CLEAN, Level
from guidance.protocol import Condition


class Plane(Gaussians):
    """Classes that are mixtures of round Gaussians. A sample (N, 2, 1, 1) is N points that know nothing of each other.

    means: (K, 2) of the components; stds: (K,), or one for all; owners: (K,), the class of each. Weights are equal.
    """

    def __init__(
        self, means: Sequence[Sequence[float]], stds: float | Sequence[float], owners: Sequence[int], id: str = "plane"
    ) -> None:
        self.owners = torch.tensor(owners)
        centres = torch.tensor(means, dtype=torch.float64)
        spreads = torch.tensor(stds, dtype=torch.float64).expand(len(centres))
        names = [f"class {k}" for k in range(max(owners) + 1)]
        super().__init__(centres.view(-1, 2, 1, 1), spreads, id=id, labels=names)

    def eps(self, x: Tensor, alpha: float, sigma: float, prior: Tensor) -> Tensor:
        """The parent's, of each point of x (N, 2, 1, 1) for itself."""
        one = partial(super().eps, alpha=alpha, sigma=sigma, prior=prior)
        return torch.vmap(lambda row: one(row[None])[0])(x)

    def label(self, index: int) -> Condition:
        """A class: the components that it owns."""
        return Condition(given={"prior": (self.prior * self.of(index))[None]})

    def of(self, label: int) -> Tensor:
        """Which components (K,) a class owns."""
        return self.owners == label

    def log_joint(self, points: Tensor, level: Level = CLEAN) -> Tensor:
        """ln of weight and density of each component (N, K) at noisy points (N, 2)."""
        one = partial(self._log_joint, alpha=level.alpha, sigma=level.sigma, prior=self.prior)
        return torch.vmap(lambda point: one(point.view(1, 2, 1, 1)))(points) - math.log(2 * math.pi)

    def log_probability(self, x: Tensor, level: Level, classes: Sequence[int]) -> Tensor:
        """Of the posterior of the classes."""
        joint = self.log_joint(x.flatten(1), level)
        logs = [joint[:, self.of(k)].logsumexp(1) - joint.logsumexp(1) for k in classes]
        return torch.stack(logs).sum(0)

    def density(self, points: Tensor, label: int, level: Level = CLEAN) -> Tensor:
        """p(x | class) (N,) at noisy points (N, 2)."""
        return self.log_joint(points, level)[:, self.of(label)].exp().sum(1) / self.prior[self.of(label)].sum()

    def sharpened(self, points: Tensor, label: int, weight: float) -> Tensor:
        """p(x) p(class | x)^w (N,), not normalised: the density that Ho & Salimans' guided score is read as."""
        every = self.log_joint(points).logsumexp(1)
        posterior = self.log_probability(points.view(-1, 2, 1, 1), CLEAN, [label])
        return (every + weight * posterior).exp()

    def drawn(self, label: int, count: int, seed: int) -> Tensor:
        """Points (count, 2) of a class, not by diffusion."""
        generator = torch.Generator().manual_seed(seed)
        weights = self.prior * self.of(label)
        which = torch.multinomial(weights, count, replacement=True, generator=generator)
        noise = torch.randn(count, 2, generator=generator, dtype=self.dtype)
        return self.means.flatten(1)[which] + self.stds[which, None] * noise
