"""FullNorm: T-Norm's push, then BaseNorm's scaling. From the same fast.ai notebook."""

from __future__ import annotations

from typing import ClassVar, Literal

from guidance.combiners.base import TINY, norm
from guidance.combiners.relative_push import RelativePush, pushed
from guidance.protocol import Guide, Step


class FullNorm(RelativePush):
    """T-Norm, then scaled back to the length of the unconditional prediction.

    The weight is T-Norm's: a share of that length; 0 is the unconditional prediction.
    """

    normalises: ClassVar[bool] = True

    type: Literal["full_norm"] = "full_norm"

    def guide(self, step: Step) -> Guide:
        if self.branches(step.weight) | step.needs == {"uncond"}:
            [uncond] = yield [step.uncond]
            return uncond
        cond, uncond = yield [step.cond, step.uncond]
        guided = pushed(cond, uncond, step.weight)
        return guided * (norm(uncond) / norm(guided).clamp_min(TINY))
