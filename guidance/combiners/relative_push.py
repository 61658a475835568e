"""A push whose length is a share of the unconditional prediction's: what T-Norm and FullNorm have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from guidance.combiners.base import TINY, norm
from guidance.combiners.twofold import Twofold
from guidance.stage import Space

if TYPE_CHECKING:
    from torch import Tensor


class RelativePush(Twofold):
    """The weight is a share of ||u||, not CFG's: useful values are 0.05 to 0.25; 0 is the unconditional prediction."""

    paper: ClassVar[str] = "fast.ai forums 2022, Dynamic classifier-free guidance"
    neutral: ClassVar[str] = ""
    alone: ClassVar[Mapping[float, str]] = {0.0: "uncond"}
    space: ClassVar[Space] = "eps"
    cfg_weight: ClassVar[bool] = False
    default_schedule: ClassVar[dict[str, Any]] = {"type": "cosine", "max_weight": 0.25, "min_weight": 0.05}

    def warnings(self, weights: list[float]) -> list[str]:
        largest = max(weights, default=0.0)
        if largest <= 1:
            return []
        reading = f"{self.type_name()} reads the weight as a share of the prediction's length"
        return [f"{reading}: {largest:g} is far above the useful 0.25"]


def pushed(cond: Tensor, uncond: Tensor, weight: float) -> Tensor:
    """u + w (c - u) / ||c - u|| * ||u||; u itself where c = u."""
    difference = cond - uncond
    return uncond + weight * difference / norm(difference).clamp_min(TINY) * norm(uncond)
