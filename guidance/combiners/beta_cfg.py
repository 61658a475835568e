"""beta-CFG. Malarz et al. 2025, arXiv:2502.10574, eq. 9."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from guidance.combiners.base import TINY, norm
from guidance.combiners.twofold import Twofold
from guidance.protocol import Step
from guidance.stage import Preset, Space

if TYPE_CHECKING:
    from torch import Tensor


class BetaCFG(Twofold):
    """A push of a length that the weight decides, strongest in the middle of sampling.

    u + w (c - u) / ||c - u||^gamma, on noise predictions, with w on the curve of a Beta density. At gamma = 1 the
    weight is the push's length, not CFG's weight.
    """

    paper: ClassVar[str] = "Malarz et al. 2025, arXiv:2502.10574"
    space: ClassVar[Space] = "eps"
    neutral: ClassVar[str] = ""
    alone: ClassVar[Mapping[float, str]] = {0.0: "uncond"}
    cfg_weight: ClassVar[bool] = False
    default_schedule: ClassVar[dict[str, Any]] = {"type": "beta", "weight": 7.5, "a": 2.0, "b": 2.0}
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset("beta_cfg", "a = b = 2, gamma = 1", {"schedule": default_schedule, "combiner": {"type": "beta_cfg"}}),
    )

    type: Literal["beta_cfg"] = "beta_cfg"
    gamma: float = Field(1.0, ge=0, le=2, description="0 is CFG")

    def combined(self, cond: Tensor, uncond: Tensor, step: Step) -> Tensor:
        difference = cond - uncond
        return uncond + step.weight * difference / norm(difference).clamp_min(TINY) ** self.gamma
