"""A linearly falling weight. Wang et al. 2024, arXiv:2404.13040, "invlinear", normalised to a mean of `weight`."""

from __future__ import annotations

from typing import Literal

from guidance.schedules.progress_schedule import ProgressSchedule


class InverseLinear(ProgressSchedule):
    """Falls from twice the weight to 0 (unconditional); the mean over the steps is the weight.

    2 (1 - r) weight, with sampling progress r from 0 to 1.
    """

    type: Literal["inverse_linear"] = "inverse_linear"

    def shape(self, r: float) -> float:
        return 2 * (1 - r)
