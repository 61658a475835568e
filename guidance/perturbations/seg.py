"""Smoothed energy guidance. Hong 2024, arXiv:2408.00760, algorithm 1."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field

from guidance.attention import BlurredQueries, Edit
from guidance.perturbations.layered import Layered
from guidance.stage import Preset


class SEG(Layered):
    """Push away from a prediction whose self-attention is blurred: PAG with a dial.

    p is the conditional prediction with the queries of the chosen layers blurred over the image by a Gaussian of
    `sigma` tokens, or replaced by their mean; scale (c - p) is added.
    """

    paper: ClassVar[str] = "Hong 2024, arXiv:2408.00760"
    neutral: ClassVar[str] = "scale = 0"
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "seg",
            "SEG at 3, blur 100, in the middle block beside CFG at 5",
            {
                "schedule": {"type": "constant", "weight": 5.0},
                "perturbation": [{"type": "seg", "scale": 3.0, "sigma": 100.0}],
            },
        ),
    )

    type: Literal["seg"] = "seg"
    sigma: float | None = Field(100.0, gt=0, le=9999, description="tokens; null is infinite: the mean query")

    def edit(self) -> Edit:
        return BlurredQueries(self.layers, math.inf if self.sigma is None else self.sigma)
