"""Euler's method on the probability-flow ODE. Karras et al. 2022, arXiv:2206.00364, algorithm 2 without churn."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from guidance.samplers.sigma import SigmaSampler


class Euler(SigmaSampler):
    """First order, deterministic.

    y' = y + (s' - s) (y - D) / s in Karras' scale, y = x / alpha, s = sigma / alpha.
    """

    paper: ClassVar[str] = "Karras et al. 2022, arXiv:2206.00364"
    solver: ClassVar[str] = "EulerDiscreteScheduler"

    renoises: ClassVar[bool] = True

    type: Literal["euler"] = "euler"

    def kept(self, scheduler: Any, call: int) -> float:
        return float(scheduler.sigmas[call + 1] / scheduler.sigmas[call])

    def shift(self, scheduler: Any, call: int) -> float:
        return 1.0  # its samples are x / alpha
