"""Answers in closed form: what guided sampling must arrive at when the data are Gaussian.

For data N(mu, s^2) the denoiser is D(x; sigma) = (s^2 x + sigma^2 mu) / (s^2 + sigma^2), with x and sigma in Karras'
scale (alpha = 1). It is affine in x, so the guided probability-flow ODE has an exact solution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from guidance.models.gaussians import Gaussians
from guidance.noise import NoiseTable
from guidance.protocol import Conditions, drive
from guidance.samplers import Sampler
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory

TABLE = NoiseTable(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)


@dataclass(frozen=True)
class Pair:
    """A conditional and an unconditional model, each one Gaussian N(mean, std^2) in every pixel."""

    cond_mean: float = 0.5
    uncond_mean: float = -0.25
    cond_std: float = 0.5
    uncond_std: float = 0.5
    pixels: int = 4

    def model(self, table: NoiseTable = TABLE) -> Gaussians:
        means = torch.tensor([self.cond_mean, self.uncond_mean], dtype=torch.float64).view(2, 1, 1, 1)
        stds = torch.tensor([self.cond_std, self.uncond_std], dtype=torch.float64)
        return Gaussians(means.expand(2, 1, self.pixels, self.pixels), stds, noise=table)

    def guided_mean(self, weight: float) -> float:
        return self.uncond_mean + weight * (self.cond_mean - self.uncond_mean)

    def denoised(self, x: Tensor, sigma: float, weight: float) -> Tensor:
        """The guided denoiser at x in Karras' scale."""
        cond = _denoised(x, sigma, self.cond_mean, self.cond_std)
        uncond = _denoised(x, sigma, self.uncond_mean, self.uncond_std)
        return uncond + weight * (cond - uncond)

    def flow(self, x: Tensor, high: float, low: float, weight: float) -> Tensor:
        """The exact solution of the guided ODE from sigma = high down to low. Needs equal means or equal stds."""
        assert self.cond_mean == self.uncond_mean or self.cond_std == self.uncond_std
        mean = self.guided_mean(weight)
        cond = (self.cond_std**2 + low**2) / (self.cond_std**2 + high**2)
        uncond = (self.uncond_std**2 + low**2) / (self.uncond_std**2 + high**2)
        factor: float = cond ** (weight / 2) * uncond ** ((1 - weight) / 2)
        return mean + (x - mean) * factor

    def trajectory(self, guidance: GuidanceSpec, sampler: Sampler, seed: int = 0) -> Trajectory:
        return a_trajectory(self.model(), guidance, sampler, seed)

    def sample(self, guidance: GuidanceSpec, sampler: Sampler, seed: int = 0) -> Tensor:
        trajectory = self.trajectory(guidance, sampler, seed)
        return drive(trajectory.run(), trajectory.model.evaluate)

    def start(self, sampler: Sampler, seed: int = 0) -> Tensor:
        """Where `sample` begins, in Karras' scale."""
        model = self.model()
        solver = sampler.make_solver(model.info.noise, model.scheduler_config)
        noise = torch.randn(model.shape(0, 0), generator=torch.Generator().manual_seed(seed), dtype=model.dtype)
        first = sampler.levels(model.info.noise)[0]
        return solver.network_input(solver.start(noise), 0) / first.alpha


def a_trajectory(model: Gaussians, guidance: GuidanceSpec, sampler: Sampler, seed: int = 0) -> Trajectory:
    """Class 0 against class 1, or against the whole mixture where there is no class 1."""
    others = {told: model.encode(None) if told is None else model.label(1) for told in guidance.wanted}
    conditions = Conditions(model.label(0), model.label(1), others)
    return Trajectory(model, guidance, sampler, conditions, model.shape(0, 0), seed)  # type: ignore[arg-type]


def constant(weight: float) -> GuidanceSpec:
    """Plain CFG."""
    return GuidanceSpec.model_validate({"schedule": {"type": "constant", "weight": weight}})


def slope(counts: Sequence[int], errors: Sequence[float]) -> float:
    """The order of convergence: minus the least-squares slope of log error over log steps."""
    x = [math.log(count) for count in counts]
    y = [math.log(error) for error in errors]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return -above / sum((a - mean_x) ** 2 for a in x)


def _denoised(x: Tensor, sigma: float, mean: float, std: float) -> Tensor:
    return (std**2 * x + sigma**2 * mean) / (std**2 + sigma**2)
