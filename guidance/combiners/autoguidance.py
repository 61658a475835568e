"""Autoguidance. Karras et al. 2024, arXiv:2406.02507, eq. 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from guidance.combiners.base import Combiner
from guidance.perturbations.weaker import Weaker
from guidance.protocol import Guide, Step
from guidance.stage import Preset

ALONE: Mapping[float, str] = {0.0: "weak", 1.0: "cond"}
"""Weights at which one prediction is the answer."""


class Autoguidance(Weaker, Combiner):
    """Push away from what a weaker model predicts under the same condition: quality, at little cost in variety.

    p + w (c - p), p the prediction of another model, smaller or less trained, or of this one with transformer blocks
    left out. The negative prompt is not used. Beside CFG it is the perturbation of this name.
    """

    paper: ClassVar[str] = "Karras et al. 2024, arXiv:2406.02507"
    neutral: ClassVar[str] = "weight = 1"
    default_schedule: ClassVar[dict[str, Any]] = {"type": "constant", "weight": 2.0}
    presets: ClassVar[tuple[Preset, ...]] = tuple(
        Preset(
            f"autoguidance_edm2_{name}",
            f"Weight {weight:g}, of the best {score}. The authors' weak model is {weak}; name one of yours as `model`",
            {"schedule": {"type": "constant", "weight": weight}, "combiner": {"type": "autoguidance"}},
        )
        for name, weight, score, weak in (
            ("s", 2.1, "FID of EDM2-S at 512", "EDM2-XS, trained 1/16 as long"),
            ("s_dino", 2.45, "FD-DINOv2 of EDM2-S at 512", "EDM2-XS, trained 1/16 as long"),
            ("xxl", 2.05, "FID of EDM2-XXL at 512", "EDM2-M, trained 1/3.5 as long"),
            ("64_s", 1.7, "FID of EDM2-S at 64", "EDM2-XS, trained 1/8 as long"),
        )
    )

    type: Literal["autoguidance"] = "autoguidance"

    def branches(self, weight: float) -> frozenset[str]:
        return frozenset({ALONE[weight]} if weight in ALONE else {"cond", "weak"})

    def guide(self, step: Step) -> Guide:
        asked = sorted(self.branches(step.weight) | step.needs)
        known = {"cond": step.cond, "uncond": step.uncond}
        answers = yield [known[name] if name in known else self.weak(name, step) for name in asked]
        seen = dict(zip(asked, answers, strict=True))
        if step.weight in ALONE:
            return seen[ALONE[step.weight]]
        return seen["weak"] + step.weight * (seen["cond"] - seen["weak"])
