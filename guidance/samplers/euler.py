"""Euler's method on the probability-flow ODE. Karras et al. 2022, arXiv:2206.00364, algorithm 2 without churn."""

from __future__ import annotations

from typing import ClassVar, Literal

from guidance.samplers.sigma import SigmaSampler


class Euler(SigmaSampler):
    """First order, deterministic."""

    paper: ClassVar[str] = "Karras et al. 2022, arXiv:2206.00364"
    solver: ClassVar[str] = "EulerDiscreteScheduler"

    type: Literal["euler"] = "euler"
