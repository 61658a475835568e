"""A weight that grows along half a cosine above a floor. Wang et al. 2024, arXiv:2404.13040, "clamp-cosine"."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from guidance.schedules.progress_schedule import ProgressSchedule
from guidance.schedules.weights import Weight


class ClampCosine(ProgressSchedule):
    """Stands at a floor until the growing curve of `wang_cosine` overtakes it; the floor is a weight, not a share.

    max(floor, (1 - cos(pi r)) weight), with sampling progress r from 0 to 1. Not normalised: the mean is above
    `weight`.
    """

    type: Literal["clamp_cosine"] = "clamp_cosine"
    floor: Weight = Field(2.0, description="c, an absolute weight; the paper compares 1, 2 and 4")

    def shape(self, r: float) -> float:
        return 1 - math.cos(math.pi * r)
