"""FBG, feedback guidance. Koulischer et al. 2025, arXiv:2506.06085, with the controller of its authors' code."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from guidance.combiners.base import TINY, Combiner
from guidance.memory import remembered
from guidance.noise import Level
from guidance.prediction import widest
from guidance.protocol import Guide, Step
from guidance.stage import Preset, Space

if TYPE_CHECKING:
    from torch import Tensor

REFERENCE = 3.0
"""lambda that is reached at t0 where the steps say nothing of the condition."""
SHARE = 10.0
"""By how many times delta a step at t1 outweighs it, per unit of what it says."""
SUREST = 3.0
"""Largest log-posterior."""


class FBG(Combiner):
    """CFG whose weight follows how well the picture already fits its condition: strong only where it does not yet.

    u + (lambda + w - 1) (c - u), lambda = 1 / (1 - (1 - pi) e^-L), where L estimates ln p(c | x). A step from x to x'
    adds tau / (2 v) (||x' - m_u||^2 - ||x' - m_c||^2) + delta to L: m_k is the mean of x' by the prediction k, v its
    variance, all in Karras' scale. t0 and t1 set delta and tau. The scheduled weight is what the authors' hybrids add,
    within (sigma_low, sigma_high]; at 1 it is feedback alone.
    """

    paper: ClassVar[str] = "Koulischer et al. 2025, arXiv:2506.06085"
    space: ClassVar[Space] = "denoised"
    neutral: ClassVar[str] = "pi = 1 and weight = 1"
    tracks_condition: ClassVar[bool] = True
    default_schedule: ClassVar[dict[str, Any]] = {"type": "constant", "weight": 1.0}
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "fbg",
            "The authors' best FD-DINOv2 of EDM2-XS, at 64 ancestral steps",
            {"schedule": default_schedule, "combiner": {"type": "fbg"}},
        ),
        Preset(
            "fbg_interval",
            "The same with weight 2.6 added in (0.48, 6.84]",
            {
                "schedule": {"type": "constant", "weight": 2.6},
                "combiner": {"type": "fbg", "t1": 0.492, "sigma_low": 0.48, "sigma_high": 6.84},
            },
        ),
    )

    type: Literal["fbg"] = "fbg"
    pi: float = Field(0.999, ge=1e-6, le=1, description="how much the conditional model is trusted; 1 is it alone")
    t0: float = Field(0.556, ge=0, le=0.99, description="share of the steps left when lambda is 3 if nothing is learnt")
    t1: float = Field(0.429, ge=0, le=1, description="share of the steps left whose noise sets what counts as learnt")
    largest: float = Field(10.0, ge=1.001, le=1000, description="most that lambda and the added weight come to")
    sigma_low: float = Field(0.0, ge=0, description="of the window in which the scheduled weight counts")
    sigma_high: float | None = Field(None, gt=0, description="null means no upper bound")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.sigma_high is not None and self.sigma_low >= self.sigma_high:
            raise ValueError(f"sigma_low = {self.sigma_low} must be below sigma_high = {self.sigma_high}")
        return self

    def branches(self, weight: float) -> frozenset[str]:
        return frozenset({"cond"} if self.pi == 1 and weight == 1 else {"cond", "uncond"})

    def guide(self, step: Step) -> Guide:
        own = self.branches(step.weight)
        asked = sorted(own | step.needs)
        answers = yield [step.cond if name == "cond" else step.uncond for name in asked]
        seen = dict(zip(asked, answers, strict=True))
        cond = seen["cond"]
        if "uncond" not in own:
            return cond
        uncond = seen["uncond"]
        log = self._log_posterior(step, cond)
        if step.call == 0:
            step.memory[self.type] = Past(step.index, step.level, step.cond.x, cond, uncond, log)
        weight = self._lambda(log, step.weight) + (step.weight - 1 if self._adds(step) else 0.0)
        step.notes.update(effective_weight=weight[0], log_posterior=log[0])
        return uncond + weight.to(cond.dtype).view(-1, *[1] * (cond.ndim - 1)) * (cond - uncond)

    def _adds(self, step: Step) -> bool:
        return self.sigma_low < step.start.ratio <= (math.inf if self.sigma_high is None else self.sigma_high)

    def _lambda(self, log: Tensor, weight: float) -> Tensor:
        rest = 1 - (1 - self.pi) * (-log).exp()
        return rest.clamp_min(TINY).reciprocal().clamp_max(max(self._most(weight), 1.0))

    def _most(self, weight: float) -> float:
        """The largest lambda, beside the weight that is added."""
        return self.largest - (weight - 1)

    def _log_posterior(self, step: Step, like: Tensor) -> Tensor:
        """L (N,) of this step. Both evaluations of a step have that of the first, and so has a step that is repeated.

        Over steps at which guidance was off it stays what it was.
        """
        past: Past | None = step.memory.get(self.type)
        if past is None or step.index < past.index:
            return widest(like.flatten(1)).new_zeros(len(like))
        if self.pi == 1 or step.index != past.index + 1 or step.level.ratio >= past.level.ratio:
            return past.log
        delta = math.log((1 - self.pi) * REFERENCE / (REFERENCE - 1)) / ((1 - self.t0) * step.count)
        tau = abs(2 * self._variance_at_t1(step) / SHARE * delta)
        most = self._most(step.weight)
        least = math.log((1 - self.pi) * most / (most - 1)) if most > 1 else math.inf
        return (past.log + tau * past.evidence(step) + delta).clamp(min(least, SUREST), SUREST)

    def _variance_at_t1(self, step: Step) -> float:
        """Of the step that begins with the share t1 of the steps left, interpolated."""
        variances = [0.0, *(transition(a, b)[1] for a, b in zip(step.starts[-2::-1], step.starts[::-1], strict=False))]
        place = min(self.t1 * step.count, len(variances) - 1.0)
        low = min(int(place), len(variances) - 2)
        return variances[low] + (place - low) * (variances[low + 1] - variances[low])


@remembered
@dataclass(frozen=True, eq=False)
class Past:
    """The last step that was guided: where it was, what was predicted, and L."""

    index: int
    level: Level
    x: Tensor
    cond: Tensor
    uncond: Tensor
    log: Tensor

    def evidence(self, step: Step) -> Tensor:
        """(||x' - m_u||^2 - ||x' - m_c||^2) / (2 v), (N,), with x' where `step` is now."""
        share, variance = transition(self.level, step.level)
        now, before, cond, uncond = (widest(t.flatten(1)) for t in (step.cond.x, self.x, self.cond, self.uncond))
        kept = step.level.ratio**2 * self.level.alpha / self.level.sigma**2 * before  # share x / alpha; 0 at alpha = 0
        from_cond, from_uncond = (now / step.level.alpha - kept - (1 - share) * denoised for denoised in (cond, uncond))
        # a difference of squares, without their cancellation
        return ((from_uncond - from_cond) * (from_uncond + from_cond)).sum(1) / (2 * variance)


def transition(before: Level, after: Level) -> tuple[float, float]:
    """sigma'^2 / sigma^2, and the variance of x' given x and its denoised estimate, in Karras' scale."""
    share = (after.ratio / before.ratio) ** 2
    return share, (1 - share) * after.ratio**2
