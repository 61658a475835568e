"""FullNorm: T-Norm's push, then BaseNorm's scaling. From the same fast.ai notebook."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from guidance.combiners.base import TINY, Combiner, norm
from guidance.combiners.t_norm import TNorm, pushed
from guidance.protocol import Guide, Step
from guidance.stage import Space


class FullNorm(Combiner):
    """T-Norm, then scaled back to the length of the unconditional prediction.

    The weight is T-Norm's: a share of that length; 0 is the unconditional prediction.
    """

    paper: ClassVar[str] = "fast.ai forums 2022, Dynamic classifier-free guidance"
    space: ClassVar[Space] = "eps"
    normalises: ClassVar[bool] = True
    default_schedule: ClassVar[dict[str, Any]] = TNorm.default_schedule

    type: Literal["full_norm"] = "full_norm"

    branches = TNorm.branches
    warnings = TNorm.warnings

    def guide(self, step: Step) -> Guide:
        if self.branches(step.weight) | step.needs == {"uncond"}:
            [uncond] = yield [step.uncond]
            return uncond
        cond, uncond = yield [step.cond, step.uncond]
        guided = pushed(cond, uncond, step.weight)
        return guided * (norm(uncond) / norm(guided).clamp_min(TINY))
