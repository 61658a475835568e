"""A weight that falls and grows again. Wang et al. 2024, arXiv:2404.13040, "V-shape", normalised to mean `weight`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from guidance.schedules.progress_schedule import ProgressSchedule


class VShape(ProgressSchedule):
    """Falls from twice the weight to 0 halfway and grows back: most guidance at both ends.

    2 |1 - 2 r| weight, with sampling progress r from 0 to 1. A public port writes the paper's V in cases
    (t / T below T / 2, else 1 - t / T) that draw a Λ; `literal` follows them: 4 min(r, 1 - r) weight.
    """

    type: Literal["v_shape"] = "v_shape"
    literal: bool = Field(False, description="the port's cases, normalised: the curve of lambda_shape")

    def shape(self, r: float) -> float:
        return 4 * min(r, 1 - r) if self.literal else 2 * abs(1 - 2 * r)
