"""A linearly growing weight. Wang et al. 2024, arXiv:2404.13040, "linear", normalised to a mean of `weight`."""

from __future__ import annotations

from typing import Literal

from guidance.schedules.progress_schedule import ProgressSchedule


class Linear(ProgressSchedule):
    """Grows from 0 (unconditional) to twice the weight; the mean over the steps is the weight.

    2 r weight, with sampling progress r from 0 to 1.
    """

    type: Literal["linear"] = "linear"

    def shape(self, r: float) -> float:
        return 2 * r
