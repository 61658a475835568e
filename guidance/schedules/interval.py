"""Guidance in a limited interval of noise levels. Kynkäänniemi et al. 2024, arXiv:2404.07724, eq. 5."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from guidance.schedules.base import Schedule
from guidance.schedules.weights import Weight
from guidance.stage import Preset


class Interval(Schedule):
    """A constant weight while sigma_low < sigma <= sigma_high; outside, the conditional prediction alone.

    sigma is sigma / alpha, Karras' sigma; the decision is taken where the step begins, for all its evaluations. It is
    `constant` with the paper's interval: every other schedule has the same two fields.
    """

    paper: ClassVar[str] = "Kynkäänniemi et al. 2024, arXiv:2404.07724"
    neutral: ClassVar[str] = "weight = 1; sigma_low = 0 with no sigma_high is `constant`"
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "interval_edm2_xxl",
            "Limited interval of EDM2-XXL's best FID, (0.189, 1.609]: steps 17 to 22 of the paper's 32",
            {"schedule": {"type": "interval", "weight": 2.0, "sigma_low": 0.189, "sigma_high": 1.609}},
        ),
        Preset(
            "interval_sdxl",
            "Limited interval for SDXL, (0.28, 5.42]: edges as in public ports, not checked against the paper; "
            "weight 5 is SDXL's usual one",
            {"schedule": {"type": "interval", "weight": 5.0, "sigma_low": 0.28, "sigma_high": 5.42}},
        ),
    )

    type: Literal["interval"] = "interval"
    weight: Weight = 5.0
    sigma_low: float = Field(0.28, ge=0)
    sigma_high: float | None = Field(5.42, gt=0, description="null means no upper bound")

    def weight_at(self, index: int, count: int, sigma: float) -> float | None:
        return self.weight
