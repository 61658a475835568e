"""Classifier-free guidance. Ho & Salimans 2022, arXiv:2207.12598, eq. 6 (weight here = the paper's w + 1)."""

from __future__ import annotations

from typing import ClassVar, Literal

from guidance.combiners.base import Combiner
from guidance.protocol import Guide, Step


class CFG(Combiner):
    """Push the prediction away from the unconditional one: more fidelity, less variety."""

    paper: ClassVar[str] = "Ho & Salimans 2022, arXiv:2207.12598"
    neutral: ClassVar[str] = "weight = 1"

    type: Literal["cfg"] = "cfg"

    def branches(self, weight: float) -> frozenset[str]:
        if weight == 1:
            return frozenset({"cond"})
        return frozenset({"cond", "uncond"} if weight else {"uncond"})

    def guide(self, step: Step) -> Guide:
        asked = self.branches(step.weight) | step.needs
        if asked == {"cond"}:
            [cond] = yield [step.cond]
            return cond
        if asked == {"uncond"}:
            [uncond] = yield [step.uncond]
            return uncond
        cond, uncond = yield [step.cond, step.uncond]
        return uncond + step.weight * (cond - uncond)
