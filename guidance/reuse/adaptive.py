"""Adaptive guidance. Castillo et al. 2023, arXiv:2312.12487, section 4."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from guidance.prediction import Prediction, widest
from guidance.protocol import Guide, Step
from guidance.reuse.base import Reuse


class Adaptive(Reuse):
    """Stop guiding once the conditional and the unconditional prediction agree: saves the rest of the second branch.

    From the step on after which cos(eps_c, eps_u) >= threshold, the conditional prediction stands alone.
    """

    paper: ClassVar[str] = "Castillo et al. 2023, arXiv:2312.12487"
    neutral: ClassVar[str] = "threshold above 1"
    data_dependent: ClassVar[bool] = True

    type: Literal["adaptive"] = "adaptive"
    threshold: float = Field(0.991, ge=-1, le=2, description="cosine between the two noise predictions")

    def skips(self, index: int, count: int) -> bool:
        return False

    def guide(self, step: Step) -> Guide | None:
        return _conditional(step) if step.memory.get(self.type) else None

    def observe(self, seen: dict[str, Prediction], step: Step) -> None:
        if step.call or not {"cond", "uncond"} <= seen.keys():
            return
        cond, uncond = (widest(seen[name].eps.flatten()) for name in ("cond", "uncond"))
        cosine = (cond @ uncond) / (cond.norm() * uncond.norm()).clamp_min(1e-12)
        step.memory[self.type] = bool(cosine >= self.threshold)  # the step's one wait for the device


def _conditional(step: Step) -> Guide:
    [cond] = yield [step.cond]
    return cond
