"""CADS, the condition-annealed diffusion sampler. Sadat et al. 2023, arXiv:2310.17347, section 4.1."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from guidance.conditions.base import ConditionTransform
from guidance.protocol import Condition, Step

if TYPE_CHECKING:
    from torch import Tensor


class CADS(ConditionTransform):
    """Add noise to the condition early in sampling and anneal it away: restores variety at high weights.

    c' = sqrt(gamma) c + noise_scale sqrt(1 - gamma) n, with n drawn anew each step; then blended by `mixing` with its
    rescaling to the mean and standard deviation of c. gamma is 1 for t <= tau1, 0 for t >= tau2, linear between, where
    t = 1 - step / steps falls from 1.
    """

    paper: ClassVar[str] = "Sadat et al. 2023, arXiv:2310.17347"
    neutral: ClassVar[str] = "tau1 = 1"

    type: Literal["cads"] = "cads"
    tau1: float = Field(0.6, ge=0, le=1)
    tau2: float = Field(0.9, ge=0, le=1)
    noise_scale: float = Field(0.25, ge=0, le=10)
    mixing: float = Field(1.0, ge=0, le=1, description="psi: 1 keeps the mean and deviation of the condition")
    apply_to: Literal["cond", "both"] = Field("cond", description="the paper's cond; some ports noise both")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.tau1 >= self.tau2 and self.tau1 < 1:
            raise ValueError(f"tau1 = {self.tau1} must be below tau2 = {self.tau2}")
        return self

    def gamma(self, index: int, count: int) -> float:
        """How much of the condition is left at a step, in [0, 1]."""
        t = 1 - index / count
        if t <= self.tau1:
            return 1.0
        return 0.0 if t >= self.tau2 else (self.tau2 - t) / (self.tau2 - self.tau1)

    def apply(self, step: Step) -> Step:
        gamma = self.gamma(step.index, step.count)
        step.notes["cads_gamma"] = gamma
        if gamma == 1:
            return step
        if step.call == 0:  # one draw a step: a second evaluation must see the condition of the first
            step.memory["cads"] = (
                self._noised(step.cond.cond, gamma, step),
                self._noised(step.uncond.cond, gamma, step) if self.apply_to == "both" else step.uncond.cond,
            )
        cond, uncond = step.memory["cads"]
        return replace(step, cond=replace(step.cond, cond=cond), uncond=replace(step.uncond, cond=uncond))

    def _noised(self, condition: Condition, gamma: float, step: Step) -> Condition:
        noised = {name: self._anneal(c, gamma, step) for name, c in condition.embeddings.items()}
        return replace(condition, embeddings=noised)

    def _anneal(self, c: Tensor, gamma: float, step: Step) -> Tensor:
        noised = math.sqrt(gamma) * c + self.noise_scale * math.sqrt(1 - gamma) * step.noise_like(c)
        spread = noised.std()
        rescaled = (noised - noised.mean()) / spread.clamp_min(1e-12) * c.std() + c.mean()
        return self.mixing * rescaled + (1 - self.mixing) * noised
