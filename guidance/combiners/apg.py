"""Adaptive projected guidance. Sadat et al. 2024, arXiv:2410.02416, algorithm 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from guidance.combiners.base import TINY, norm
from guidance.combiners.history import keep, recall
from guidance.combiners.perp_neg import perpendicular
from guidance.combiners.twofold import Twofold
from guidance.protocol import Step
from guidance.stage import Preset, Space

if TYPE_CHECKING:
    from torch import Tensor

SETTINGS: dict[str, dict[str, Any]] = {
    "apg_edm2": {"norm_threshold": 2.5, "momentum": -0.75},
    "apg_dit": {"norm_threshold": 5.0, "momentum": -0.5},
    "apg_sd21": {"norm_threshold": 7.5, "momentum": -0.75},
    "apg_sdxl": {"norm_threshold": 15.0, "momentum": -0.5},
}


class APG(Twofold):
    """CFG without the part that only adds saturation: usable at high weights.

    d = D_c - D_u gets a (negative) momentum, its norm is capped, and its part parallel to D_c counts eta:
    D_c + (w - 1) (d_perp + eta d_par). The cap is in units of the latent and grows with its size.
    """

    paper: ClassVar[str] = "Sadat et al. 2024, arXiv:2410.02416"
    space: ClassVar[Space] = "denoised"
    presets: ClassVar[tuple[Preset, ...]] = tuple(
        Preset(
            name, f"The authors' APG for {name[4:]}; not checked against the paper", {"combiner": {"type": "apg"} | s}
        )
        for name, s in SETTINGS.items()
    )

    type: Literal["apg"] = "apg"
    eta: float = Field(0.0, ge=-10, le=10, description="share of the parallel part; 1 keeps all of it")
    norm_threshold: float | None = Field(15.0, gt=0, le=1e6, description="largest norm of d; null is none")
    momentum: float = Field(-0.5, gt=-1, lt=1, description="beta: what the last step's d adds to this one's")

    def combined(self, cond: Tensor, uncond: Tensor, step: Step) -> Tensor:
        difference = self._with_momentum(cond - uncond, step)
        if self.norm_threshold is not None:
            difference = difference * (self.norm_threshold / norm(difference).clamp_min(TINY)).clamp_max(1)
        across = perpendicular(difference, cond)
        return cond + (step.weight - 1) * (across + self.eta * (difference - across))

    def _with_momentum(self, difference: Tensor, step: Step) -> Tensor:
        before = recall(step, self.type)
        average = difference if before is None else difference + self.momentum * before
        keep(step, self.type, average)
        return average
