"""Heun's method on the probability-flow ODE. Karras et al. 2022, arXiv:2206.00364, algorithm 1."""

from __future__ import annotations

from typing import ClassVar, Literal

from guidance.noise import Level, NoiseTable
from guidance.samplers.sigma import SigmaSampler


class Heun(SigmaSampler):
    """Second order, deterministic: two evaluations a step, one in the last.

    Euler's step to y', then y + (s' - s) times the mean of the slopes (y - D) / s at both ends.
    """

    paper: ClassVar[str] = "Karras et al. 2022, arXiv:2206.00364"
    solver: ClassVar[str] = "HeunDiscreteScheduler"
    zero_snr: ClassVar[bool] = False
    calls_per_step: ClassVar[int] = 2

    type: Literal["heun"] = "heun"

    def levels(self, table: NoiseTable) -> list[Level]:
        """Each step evaluates where it begins and where it ends; the last ends at zero, where nothing is to ask."""
        first, *rest = super().levels(table)
        return [first, *(level for level in rest for _ in range(2))]
