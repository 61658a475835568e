"""FullNorm: T-Norm's push, then BaseNorm's scaling. From the same fast.ai notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from guidance.combiners.base import TINY, norm
from guidance.combiners.relative_push import RelativePush, pushed
from guidance.protocol import Step

if TYPE_CHECKING:
    from torch import Tensor


class FullNorm(RelativePush):
    """T-Norm, then scaled back to the length of the unconditional prediction.

    The weight is T-Norm's: a share of that length; 0 is the unconditional prediction.
    """

    normalises: ClassVar[bool] = True

    type: Literal["full_norm"] = "full_norm"

    def combined(self, cond: Tensor, uncond: Tensor, step: Step) -> Tensor:
        guided = pushed(cond, uncond, step.weight)
        return guided * (norm(uncond) / norm(guided).clamp_min(TINY))
