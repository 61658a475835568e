"""CFG truncation. Lumina-Image 2.0, Qin et al. 2025, arXiv:2503.21758, as diffusers' `cfg_trunc_ratio`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from guidance.schedules.base import Schedule
from guidance.schedules.weights import Weight
from guidance.stage import Preset


class Truncated(Schedule):
    """A constant weight for the first share of the steps; after it, the conditional prediction alone.

    Guided while (i + 1) / N <= ratio. Counted in steps; Z-Image's `cfg_truncation` is counted in time and is any
    schedule with sigma_low = (1 - truncation) / truncation.
    """

    paper: ClassVar[str] = "Qin et al. 2025, arXiv:2503.21758"
    neutral: ClassVar[str] = "weight = 1 or ratio = 0; ratio = 1 is `constant`"
    off_by_step: ClassVar[bool] = True
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "truncated_lumina2",
            "The first quarter of the steps at weight 4: Lumina-Image 2.0's example",
            {"schedule": {"type": "truncated", "weight": 4.0, "ratio": 0.25}},
        ),
    )

    type: Literal["truncated"] = "truncated"
    weight: Weight = 5.0
    ratio: float = Field(0.5, ge=0, le=1, description="share of the steps that are guided")

    def weight_at(self, index: int, count: int, sigma: float) -> float | None:
        return self.weight if (index + 1) / count <= self.ratio else None
