"""SMC-CFG, sliding-mode control. Wang et al. 2026, arXiv:2603.03281.

After a public port in denoised space: the authors' code was not found, so the formula is not confirmed by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from guidance.combiners.base import TINY, norm
from guidance.combiners.history import keep, recall
from guidance.combiners.twofold import Twofold
from guidance.protocol import Step
from guidance.stage import Preset, Space

if TYPE_CHECKING:
    from torch import Tensor


class SMC(Twofold):
    """CFG whose push is corrected from step to step by a sliding-mode controller. Experimental.

    e = c - u; s = (e - e_before) + lam e_before; e' = e - k s / ||s|| (or k sign(s)); u + w e'. The next step's
    e_before is e'; the first has e_before = e. k = 0 is CFG.
    """

    paper: ClassVar[str] = "Wang et al. 2026, arXiv:2603.03281"
    space: ClassVar[Space] = "denoised"
    neutral: ClassVar[str] = "weight = 1 and k = 0"
    alone: ClassVar[Mapping[float, str]] = {0.0: "uncond"}
    default_schedule: ClassVar[dict[str, Any]] = {"type": "constant", "weight": 5.0}
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "smc",
            "lambda 6, gain 0.1: the defaults of a public port, not confirmed by the authors; the weight is ours",
            {"schedule": default_schedule, "combiner": {"type": "smc"}},
        ),
    )

    type: Literal["smc"] = "smc"
    lam: float = Field(6.0, ge=0, le=100, description="lambda: slope of the sliding surface; 2 to 8 are usual")
    k: float = Field(0.1, ge=0, le=100, description="gain of the controller, 0.01 to 0.8 are usual; 0 is CFG")
    form: Literal["unit", "sign"] = Field("unit", description="the port's unit vector, or the sign of each element")

    def combined(self, cond: Tensor, uncond: Tensor, step: Step) -> Tensor:
        error = cond - uncond
        past = recall(step, self.type)
        before = error if past is None else past
        surface = error - before + self.lam * before
        control = surface.sign() if self.form == "sign" else surface / norm(surface).clamp_min(TINY)
        corrected = error - self.k * control
        keep(step, self.type, corrected)
        return uncond + step.weight * corrected
