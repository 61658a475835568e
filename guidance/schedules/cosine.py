"""Cosine annealing of the weight, in the exact steps of timm's CosineLRScheduler (one cycle, k_decay = 1)."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from guidance.schedules.base import Schedule
from guidance.schedules.weights import Weight


def annealed(index: int, count: int, maximum: float, minimum: float) -> float:
    """min + (max - min) (1 + cos(pi t / N)) / 2: starts at `maximum`, ends one step short of `minimum`."""
    return minimum + 0.5 * (maximum - minimum) * (1 + math.cos(math.pi * index / count))


class Cosine(Schedule):
    """Falls from max_weight towards min_weight along half a cosine.

    min_weight + (max_weight - min_weight) (1 + cos(pi i / N)) / 2 at step i of N: it ends one step short of min_weight.
    """

    paper: ClassVar[str] = "Loshchilov & Hutter 2016, arXiv:1608.03983, eq. 5, in timm's discretisation"
    neutral: ClassVar[str] = "max_weight = min_weight = 1"

    type: Literal["cosine"] = "cosine"
    max_weight: Weight = 7.5
    min_weight: Weight = 0.15

    def weight_at(self, index: int, count: int, sigma: float) -> float | None:
        return annealed(index, count, self.max_weight, self.min_weight)
