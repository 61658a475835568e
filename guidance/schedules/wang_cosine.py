"""A weight that grows along half a cosine. Wang et al. 2024, arXiv:2404.13040, "cosine", mean `weight`.

`cosine` is the annealing of learning rates, which falls.
"""

from __future__ import annotations

import math
from typing import Literal

from guidance.schedules.progress_schedule import ProgressSchedule


class WangCosine(ProgressSchedule):
    """Grows from 0 (unconditional) to twice the weight along half a cosine; the mean over the steps is the weight.

    (1 - cos(pi r)) weight, with sampling progress r from 0 to 1; the paper's 1 + cos(pi t / T).
    """

    type: Literal["wang_cosine"] = "wang_cosine"

    def shape(self, r: float) -> float:
        return 1 - math.cos(math.pi * r)
