"""A linearly growing weight above a floor. Wang et al. 2024, arXiv:2404.13040, "clamp-linear"."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from guidance.schedules.progress_schedule import ProgressSchedule
from guidance.schedules.weights import Weight
from guidance.stage import Preset

UNCHECKED = "not checked against the paper; the weight is the model's usual one"


class ClampLinear(ProgressSchedule):
    """Stands at a floor until the growing line of `linear` overtakes it; the floor is a weight, not a share of one.

    max(floor, 2 r weight), with sampling progress r from 0 to 1. Not normalised: the mean is above `weight`.
    """

    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "clamp_linear_sd15",
            f"Clamp-linear with the floor recommended for SD 1.5, c = 4: {UNCHECKED}",
            {"schedule": {"type": "clamp_linear", "weight": 7.5, "floor": 4.0}},
        ),
        Preset(
            "clamp_linear_sdxl",
            f"Clamp-linear with the floor recommended for SDXL, c = 2: {UNCHECKED}",
            {"schedule": {"type": "clamp_linear", "weight": 5.0, "floor": 2.0}},
        ),
    )

    type: Literal["clamp_linear"] = "clamp_linear"
    floor: Weight = Field(2.0, description="c, an absolute weight; the paper compares 1, 2 and 4")

    def shape(self, r: float) -> float:
        return 2 * r
