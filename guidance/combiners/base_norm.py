"""BaseNorm. From the fast.ai forum thread on dynamic classifier-free guidance; formula as in its published notebook."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from guidance.combiners.base import TINY, Combiner, norm
from guidance.protocol import Guide, Step
from guidance.stage import Space


class BaseNorm(Combiner):
    """CFG, then scaled back to the length of the unconditional prediction.

    g = u + w (c - u); g * ||u|| / ||g||. Not neutral at weight 1, where it returns c * ||u|| / ||c||.
    """

    paper: ClassVar[str] = "fast.ai forums 2022, Dynamic classifier-free guidance"
    space: ClassVar[Space] = "eps"
    normalises: ClassVar[bool] = True
    default_schedule: ClassVar[dict[str, Any]] = {"type": "constant", "weight": 7.5}

    type: Literal["base_norm"] = "base_norm"

    def branches(self, weight: float) -> frozenset[str]:
        return frozenset({"cond", "uncond"})

    def guide(self, step: Step) -> Guide:
        cond, uncond = yield [step.cond, step.uncond]
        guided = uncond + step.weight * (cond - uncond)
        return guided * (norm(uncond) / norm(guided).clamp_min(TINY))
