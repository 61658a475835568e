"""T-Norm. From the fast.ai forum thread on dynamic classifier-free guidance; formula as in its published notebook's code.

The notebook's text divides by ||u|| where its code multiplies; with the text's formula its own weights do nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from guidance.combiners.base import TINY, Combiner, norm
from guidance.protocol import Guide, Step
from guidance.stage import Space

if TYPE_CHECKING:
    from torch import Tensor


def pushed(cond: Tensor, uncond: Tensor, weight: float) -> Tensor:
    """u + w (c - u) / ||c - u|| * ||u||: a push of fixed relative length; u itself where c = u."""
    difference = cond - uncond
    return uncond + weight * difference / norm(difference).clamp_min(TINY) * norm(uncond)


class TNorm(Combiner):
    """Push by a fixed share of the unconditional prediction's length, whatever the distance between the two.

    The weight is that share, not CFG's: useful values are 0.05 to 0.25; 0 is the unconditional prediction.
    """

    paper: ClassVar[str] = "fast.ai forums 2022, Dynamic classifier-free guidance"
    space: ClassVar[Space] = "eps"
    default_schedule: ClassVar[dict[str, Any]] = {"type": "cosine", "max_weight": 0.25, "min_weight": 0.05}

    type: Literal["t_norm"] = "t_norm"

    def branches(self, weight: float) -> frozenset[str]:
        return frozenset({"cond", "uncond"} if weight else {"uncond"})

    def guide(self, step: Step) -> Guide:
        if self.branches(step.weight) | step.needs == {"uncond"}:
            [uncond] = yield [step.uncond]
            return uncond
        cond, uncond = yield [step.cond, step.uncond]
        return pushed(cond, uncond, step.weight)

    def warnings(self, weights: list[float]) -> list[str]:
        largest = max(weights, default=0.0)
        if largest <= 1:
            return []
        return [f"{self.type} reads the weight as a share of the prediction's length: {largest:g} is far above the useful 0.25"]
