"""A weight that falls along half a sine. Wang et al. 2024, arXiv:2404.13040, "sine", normalised to mean `weight`."""

from __future__ import annotations

import math
from typing import Literal

from guidance.schedules.progress_schedule import ProgressSchedule


class Sine(ProgressSchedule):
    """Falls from twice the weight to 0 (unconditional) along half a sine; the mean over the steps is the weight.

    (1 + cos(pi r)) weight, with sampling progress r from 0 to 1; the paper's 1 + sin(pi t / T - pi / 2).
    """

    type: Literal["sine"] = "sine"

    def shape(self, r: float) -> float:
        return 1 + math.cos(math.pi * r)
