"""MAMBO-G, magnitude-aware guidance. 2025, arXiv:2508.03442."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from guidance.combiners.base import TINY, norm
from guidance.combiners.twofold import Twofold
from guidance.protocol import Step
from guidance.stage import Preset, Space

if TYPE_CHECKING:
    from torch import Tensor


class MAMBOG(Twofold):
    """CFG that holds back where the two predictions are far apart, as at the first steps.

    The weight is 1 + (w - 1) exp(-alpha ||c - u|| / ||u||), on noise predictions.
    """

    paper: ClassVar[str] = "MAMBO-G 2025, arXiv:2508.03442"
    space: ClassVar[Space] = "eps"
    default_schedule: ClassVar[dict[str, Any]] = {"type": "constant", "weight": 10.0}
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset("mambo_g", "Weight 10, alpha 8", {"schedule": default_schedule, "combiner": {"type": "mambo_g"}}),
    )

    type: Literal["mambo_g"] = "mambo_g"
    alpha: float = Field(8.0, ge=0, le=1000, description="0 is CFG")

    def combined(self, cond: Tensor, uncond: Tensor, step: Step) -> Tensor:
        difference = cond - uncond
        ratio = norm(difference) / norm(uncond).clamp_min(TINY)
        weight = 1 + (step.weight - 1) * (-self.alpha * ratio).exp()
        step.notes["effective_weight"] = weight.flatten()[0]
        return uncond + weight * difference
