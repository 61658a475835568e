"""Normalised attention guidance. Chen et al. 2025, arXiv:2505.21179, eq. 6-9."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from guidance.attention import NegativeAttention
from guidance.conditions.base import ConditionTransform
from guidance.perturbations.layered import Layer
from guidance.protocol import Step
from guidance.stage import Preset


class NAG(ConditionTransform):
    """Move away from the negative prompt inside cross-attention: works at few steps, with no second forward.

    Z = scale Z+ - (scale - 1) Z-, its L1 length per token capped at `cap` times that of Z+, blended with Z+ by `blend`;
    Z+ and Z- are the attention outputs under the prompt and the request's negative prompt. Acts on the conditional
    branch alone.
    """

    paper: ClassVar[str] = "Chen et al. 2025, arXiv:2505.21179"
    requires: ClassVar[frozenset[str]] = frozenset({"attention", "condition_embedding", "null_condition"})
    neutral: ClassVar[str] = "scale = 1, or blend = 0"
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "nag",
            "NAG at 5 without CFG",
            {"schedule": {"type": "constant", "weight": 1.0}, "condition": [{"type": "nag"}]},
        ),
    )

    type: Literal["nag"] = "nag"
    scale: float = Field(5.0, ge=1, le=100)
    cap: float = Field(2.5, gt=0, le=100, description="largest length, in lengths of the unguided output")
    blend: float = Field(0.25, ge=0, le=1)
    stop: float = Field(1.0, gt=0, le=1, description="share of the steps after which it ends")
    layers: tuple[Layer, ...] = Field(("down", "mid", "up"), min_length=1, max_length=32)

    def apply(self, step: Step) -> Step:
        if self.scale == 1 or self.blend == 0 or step.index >= self.stop * step.count:
            return step
        edit = NegativeAttention(self.layers, step.uncond.cond.embeddings["text"], self.scale, self.cap, self.blend)
        return step.with_branch(step.cond.edited(edit))
