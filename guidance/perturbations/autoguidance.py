"""Autoguidance beside another guidance. Karras et al. 2024, arXiv:2406.02507, section 5: the three-term combination."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from guidance.perturbations.base import Perturbation
from guidance.perturbations.weaker import Weaker
from guidance.protocol import Guide, Step


class AutoguidanceTerm(Weaker, Perturbation):
    """Push away from what a weaker model predicts under the same condition, beside any combiner.

    p is the prediction of another model, smaller or less trained, or of this one with transformer blocks left out;
    scale (c - p) is added. Alone, at weight 1, it is the combiner of this name at weight scale + 1.
    """

    paper: ClassVar[str] = "Karras et al. 2024, arXiv:2406.02507"
    neutral: ClassVar[str] = "scale = 0"

    type: Literal["autoguidance"] = "autoguidance"
    scale: float = Field(1.0, ge=-100, le=100, description="0 is off; the authors count from 1 there")

    def push(self, step: Step) -> Guide:
        cond, weak = yield [step.cond, self.weak(self.type, step)]
        return self.scale * (cond - weak)
