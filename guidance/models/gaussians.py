"""A mixture of Gaussians as a model: its denoiser is known in closed form at every noise level.

The oracle of the tests, and servable: each component is a small picture with Gaussian noise of its own.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from guidance.info import ModelInfo
from guidance.models.base import answered
from guidance.noise import Level, NoiseTable
from guidance.prediction import wide
from guidance.protocol import Branch, Condition

LABELS = {"red": (0.9, -0.5, -0.5), "green": (-0.5, 0.6, -0.5), "blue": (-0.6, -0.4, 0.9), "yellow": (0.9, 0.7, -0.6)}
SIZE = 16


class Gaussians:
    """p(x) = sum_k weights_k N(means_k, stds_k^2 I); a class is one component, the null condition all of them.

    means: (K, C, H, W); stds, weights: (K,). With x = alpha x0 + sigma eps and V_k = alpha^2 s_k^2 + sigma^2,
    D(x) = sum_k r_k (mu_k + alpha s_k^2 / V_k (x - alpha mu_k)), r_k the posterior of component k given x.
    """

    def __init__(
        self,
        means: Tensor,
        stds: Tensor,
        weights: Tensor | None = None,
        *,
        id: str = "gaussians",
        labels: Sequence[str] | None = None,
        noise: NoiseTable | None = None,
    ) -> None:
        count, _, height, width = means.shape
        self.means, self.stds = means, stds.to(means)
        prior = torch.ones(count) if weights is None else weights
        self.prior = (prior / prior.sum()).to(means)
        self.device, self.dtype = means.device, means.dtype
        self.decodes_at_once = 8
        names = tuple(labels or [str(k) for k in range(count)])
        table = noise or NoiseTable(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
        self.info = ModelInfo(
            id=id,
            family="gaussians",
            condition="label",
            labels=names,
            width=width,
            height=height,
            size_multiple=width,
            max_size=width,
            data="pixel",
            capabilities=frozenset({"null_condition", "classifier"}),
            classes=names,
            prediction_type="eps",
            noise=table,
            sample_space="pixels " + " x ".join(map(str, means.shape[1:])),
        )
        self.scheduler_config: dict[str, Any] = table.model_dump(exclude_none=True) | {
            "prediction_type": "epsilon",
            "clip_sample": False,
            "set_alpha_to_one": False,
        }

    @classmethod
    def pictures(cls, id: str = "gaussians", device: torch.device | str = "cpu") -> Gaussians:
        """Four discs, one a colour, on grey: the servable default."""
        y, x = torch.meshgrid(torch.linspace(-1, 1, SIZE), torch.linspace(-1, 1, SIZE), indexing="ij")
        disc = torch.sigmoid(8 * (0.7 - (x**2 + y**2).sqrt()))
        means = torch.stack([disc * torch.tensor(colour).view(3, 1, 1) for colour in LABELS.values()])
        return cls(means.to(device), torch.full((len(LABELS),), 0.15), id=id, labels=list(LABELS))

    def shape(self, width: int, height: int) -> tuple[int, ...]:
        return (1, *self.means.shape[1:])

    def encode(self, prompt: str | None) -> Condition:
        if prompt:
            raise ValueError(f"prompt = {prompt!r}: {self.info.id} is conditioned on labels")
        return Condition(given={"prior": self.prior[None]})

    def label(self, index: int) -> Condition:
        only = torch.zeros_like(self.prior)
        only[index] = 1
        return Condition(given={"prior": only[None]})

    def batch_key(self, branch: Branch) -> Hashable:
        return (tuple(branch.x.shape), branch.pull is None)

    def evaluate(self, branches: Sequence[Branch]) -> list[Tensor]:
        return [answered(partial(self._row, b), b.x, [b]) for b in branches]

    def _row(self, branch: Branch, x: Tensor) -> Tensor:
        return self.eps(x, branch.level.alpha, branch.level.sigma, branch.cond.given["prior"])

    def eps(self, x: Tensor, alpha: float, sigma: float, prior: Tensor) -> Tensor:
        """The exact noise prediction at x (1, C, H, W). One row at a time: a row's bits depend on nothing else."""
        variance = alpha**2 * self.stds**2 + sigma**2  # (K,)
        offset = x - alpha * self.means  # (K, C, H, W)
        posterior = torch.softmax(self._log_joint(x, alpha, sigma, prior[0]), dim=0)
        gain = alpha * self.stds**2 / variance
        denoised = (posterior.view(-1, 1, 1, 1) * (self.means + gain.view(-1, 1, 1, 1) * offset)).sum(0, keepdim=True)
        return (x - alpha * denoised) / sigma

    def log_probability(self, x: Tensor, level: Level, classes: Sequence[int]) -> Tensor:
        """Of the posterior r_k of the components, which is exact: eps - sigma grad log r_k is that of class k."""
        rows = torch.split(wide(x), 1)  # one at a time, as in `eps`
        joint = [self._log_joint(row, level.alpha, level.sigma, self.prior) for row in rows]
        return torch.stack([log.log_softmax(0)[list(classes)].sum() for log in joint])

    def _log_joint(self, x: Tensor, alpha: float, sigma: float, prior: Tensor) -> Tensor:
        """ln prior_k p_k(x) (K,) at x (1, C, H, W), up to a constant."""
        variance = alpha**2 * self.stds**2 + sigma**2
        square = (x - alpha * self.means).flatten(1).square().sum(1)
        return prior.log() - square / (2 * variance) - self.means[0].numel() / 2 * variance.log()

    def encode_picture(self, pixels: Tensor) -> Tensor:
        return pixels.to(self.means)

    def decode(self, sample: Tensor) -> Tensor:
        return sample / 2 + 0.5

    def log_density(self, x: Tensor) -> float:
        """ln p(x) of clean data, for tests."""
        offset = (x - self.means).flatten(1)
        terms = self.prior.log() - offset.square().sum(1) / (2 * self.stds**2)
        terms = terms - offset.shape[1] / 2 * (2 * math.pi * self.stds**2).log()
        return float(torch.logsumexp(terms, 0))
