"""Euler's method with ancestral noise, after k-diffusion's sample_euler_ancestral."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from guidance.samplers.sigma import SigmaSampler


class EulerAncestral(SigmaSampler):
    """First order, stochastic: fresh noise at each step; never settles as steps grow.

    Euler's step to s_down, then s_up n: s_up^2 = s'^2 (s^2 - s'^2) / s^2, s_down^2 = s'^2 - s_up^2, s = sigma / alpha.
    """

    paper: ClassVar[str] = "Karras et al. 2022, arXiv:2206.00364; noise of Ho et al. 2020, arXiv:2006.11239"
    solver: ClassVar[str] = "EulerAncestralDiscreteScheduler"
    karras: ClassVar[bool] = False

    renoises: ClassVar[bool] = True

    type: Literal["euler_ancestral"] = "euler_ancestral"

    def kept(self, scheduler: Any, call: int) -> float:
        """sigma_down / sigma, with sigma_down = sigma'^2 / sigma."""
        return float(scheduler.sigmas[call + 1] / scheduler.sigmas[call]) ** 2

    def shift(self, scheduler: Any, call: int) -> float:
        return 1.0  # its samples are x / alpha
