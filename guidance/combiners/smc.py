"""SMC-CFG, sliding-mode control. Wang et al. 2026, arXiv:2603.03281.

After a public port in denoised space: the authors' code was not found, so the formula is not confirmed by them.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from guidance.combiners.base import TINY, Combiner, norm
from guidance.combiners.history import keep, recall
from guidance.protocol import Guide, Step
from guidance.stage import Space


class SMC(Combiner):
    """CFG whose push is corrected from step to step by a sliding-mode controller. Experimental.

    e = c - u; s = (e - e_before) + lam e_before; e' = e - k s / ||s|| (or k sign(s)); u + w e'. The next step's
    e_before is e'; the first has e_before = e. Not neutral at weight 1; k = 0 is CFG.
    """

    paper: ClassVar[str] = "Wang et al. 2026, arXiv:2603.03281"
    space: ClassVar[Space] = "denoised"

    type: Literal["smc"] = "smc"
    lam: float = Field(6.0, ge=0, le=100, description="lambda: slope of the sliding surface")
    k: float = Field(0.1, ge=0, le=100, description="gain of the controller; 0 is CFG")
    form: Literal["unit", "sign"] = Field("unit", description="the port's unit vector, or the sign of each element")

    def branches(self, weight: float) -> frozenset[str]:
        return frozenset({"cond", "uncond"} if weight else {"uncond"})

    def guide(self, step: Step) -> Guide:
        if self.branches(step.weight) | step.needs == {"uncond"}:
            [uncond] = yield [step.uncond]
            return uncond
        cond, uncond = yield [step.cond, step.uncond]
        if not step.weight:  # evaluated for another: the history must not depend on that
            return uncond
        error = cond - uncond
        past = recall(step, self.type)
        before = error if past is None else past
        surface = error - before + self.lam * before
        control = surface.sign() if self.form == "sign" else surface / norm(surface).clamp_min(TINY)
        corrected = error - self.k * control
        keep(step, self.type, corrected)
        return uncond + step.weight * corrected
