"""A weight that grows and falls again. Wang et al. 2024, arXiv:2404.13040, "Λ-shape", normalised to mean `weight`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from guidance.schedules.progress_schedule import ProgressSchedule


class LambdaShape(ProgressSchedule):
    """Grows from 0 to twice the weight halfway and falls back: most guidance in the middle.

    2 (1 - |1 - 2 r|) weight, with sampling progress r from 0 to 1. A public port writes the paper's Λ in cases
    (1 - t / T below T / 2, else t / T) that draw a V; `literal` follows them: 4/3 max(r, 1 - r) weight.
    """

    type: Literal["lambda_shape"] = "lambda_shape"
    literal: bool = Field(False, description="the port's cases, normalised: from 4/3 of the weight to 2/3 and back")

    def shape(self, r: float) -> float:
        return 4 / 3 * max(r, 1 - r) if self.literal else 2 * (1 - abs(1 - 2 * r))
