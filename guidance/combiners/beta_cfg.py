"""beta-CFG. Malarz et al. 2025, arXiv:2502.10574, eq. 9."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from guidance.combiners.base import TINY, Combiner, norm
from guidance.protocol import Guide, Step
from guidance.stage import Preset, Space


class BetaCFG(Combiner):
    """A push of a length that the weight decides, strongest in the middle of sampling.

    u + w (c - u) / ||c - u||^gamma, on noise predictions, with w on the curve of a Beta density. At gamma = 1 the
    weight is the push's length, not CFG's weight.
    """

    paper: ClassVar[str] = "Malarz et al. 2025, arXiv:2502.10574"
    space: ClassVar[Space] = "eps"
    cfg_weight: ClassVar[bool] = False
    default_schedule: ClassVar[dict[str, Any]] = {"type": "beta", "weight": 7.5, "a": 2.0, "b": 2.0}
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset("beta_cfg", "a = b = 2, gamma = 1", {"schedule": default_schedule, "combiner": {"type": "beta_cfg"}}),
    )

    type: Literal["beta_cfg"] = "beta_cfg"
    gamma: float = Field(1.0, ge=0, le=2, description="0 is CFG")

    def branches(self, weight: float) -> frozenset[str]:
        return frozenset({"cond", "uncond"} if weight else {"uncond"})

    def guide(self, step: Step) -> Guide:
        if self.branches(step.weight) | step.needs == {"uncond"}:
            [uncond] = yield [step.uncond]
            return uncond
        cond, uncond = yield [step.cond, step.uncond]
        difference = cond - uncond
        return uncond + step.weight * difference / norm(difference).clamp_min(TINY) ** self.gamma
