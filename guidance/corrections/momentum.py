"""Momentum Guidance. Liao et al. 2026, arXiv:2602.20360, eq. 12-13, on the denoised estimate."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from guidance.corrections.base import Correction
from guidance.prediction import Prediction
from guidance.protocol import Step


class Momentum(Correction):
    """Push the denoised estimate away from a running average of the past ones: more detail at no cost.

    D + strength (D - m); then m = (1 - decay) D + decay m, of the D that was not pushed. At the first step m = D.
    A second evaluation of a step is pushed from the same m as the first, which alone updates it.
    """

    paper: ClassVar[str] = "Liao et al. 2026, arXiv:2602.20360"
    neutral: ClassVar[str] = "strength = 0"

    type: Literal["momentum"] = "momentum"
    strength: float = Field(0.5, ge=0, le=100)
    decay: float = Field(0.6, ge=0, lt=1)

    def correct(self, guided: Prediction, seen: dict[str, Prediction], step: Step) -> Prediction:
        denoised = guided.denoised
        if step.call == 0:
            _, average = step.memory.get(self.type, (denoised, denoised))
            step.memory[self.type] = average, (1 - self.decay) * denoised + self.decay * average
        reference, _ = step.memory[self.type]
        return guided.replaced(denoised + self.strength * (denoised - reference), "denoised")
