"""The powered cosine. Wang et al. 2024, arXiv:2404.13040, "pcs"."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field

from guidance.schedules.clamp_linear import UNCHECKED
from guidance.schedules.progress_schedule import ProgressSchedule
from guidance.schedules.weights import Weight
from guidance.stage import Preset


class PowerCosine(ProgressSchedule):
    """Grows from 0 (unconditional) to the weight along half a cosine, later the larger the power.

    (1 - cos(pi r^s)) / 2 weight, with sampling progress r from 0 to 1. Not normalised: the weight is the largest, and
    the mean half of it at s = 1, 0.18 of it at s = 4.
    """

    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "power_cosine_sd15",
            f"Powered cosine with the power recommended for SD 1.5, s = 4: {UNCHECKED}",
            {"schedule": {"type": "power_cosine", "weight": 7.5, "s": 4.0}},
        ),
        Preset(
            "power_cosine_sdxl",
            f"Powered cosine with the power recommended for SDXL, s = 0.1: {UNCHECKED}",
            {"schedule": {"type": "power_cosine", "weight": 5.0, "s": 0.1}},
        ),
    )

    type: Literal["power_cosine"] = "power_cosine"
    weight: Weight = Field(10.0, description="the weight of the last step")
    s: float = Field(1.0, gt=0, le=100, description="power of progress; the paper compares 0.01 to 4")

    def shape(self, r: float) -> float:
        return (1 - math.cos(math.pi * r**self.s)) / 2
