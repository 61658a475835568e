"""TSG, time-step guidance. Sadat et al. 2024, arXiv:2407.02687, section 5, algorithm 2."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from guidance.perturbations.base import Perturbation
from guidance.protocol import Branch, Guide, Step, TimeNoise
from guidance.stage import Preset


class TSG(Perturbation):
    """Push away from a prediction that is unsure how noisy its input is. Needs no null condition. Experimental.

    p is the conditional prediction with noise on the embedding of the time, e + noise_scale t^alpha n, drawn anew at
    each step; scale (c - p) is added. t is the share of the model's time. Not confirmed by the authors, whose code was
    not found: noise_scale and alpha are what a public review of the paper quotes; the scale, the unit of the noise, and
    that it acts in all layers and at all steps are ours.
    """

    paper: ClassVar[str] = "Sadat et al. 2024, arXiv:2407.02687"
    requires: ClassVar[frozenset[str]] = frozenset({"time_embedding"})
    neutral: ClassVar[str] = "scale = 0, or noise_scale = 0"
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "tsg",
            "TSG alone, noise 2 t, as a review of the paper quotes it; not confirmed, and the scale is ours",
            {"schedule": {"type": "constant", "weight": 1.0}, "perturbation": [{"type": "tsg"}]},
        ),
    )

    type: Literal["tsg"] = "tsg"
    scale: float = Field(1.0, ge=-100, le=100, description="0 is off; the authors' weight counts from 1 there")
    noise_scale: float = Field(2.0, ge=0, le=100, description="s of the noise, at the noisiest time")
    alpha: float = Field(1.0, ge=0, le=10, description="power of the time: how soon the noise falls")
    relative: bool = Field(True, description="noise in units of the embedding's own deviation; false: as it is printed")

    def active(self, index: int, count: int) -> bool:
        return self.noise_scale > 0 and super().active(index, count)

    def push(self, step: Step) -> Guide:
        cond, weak = yield [step.cond, self.weakened(step)]
        return self.scale * (cond - weak)

    def weakened(self, step: Step) -> Branch:
        """The conditional branch of `step` with noise on the embedding of its time."""
        if step.call == 0:  # one draw a step
            step.memory[self.type] = step.draw_seed()
        share = step.level.t / step.noisiest.t if step.noisiest.t else 1.0
        noise = TimeNoise(self.noise_scale * share**self.alpha, step.memory[self.type], self.relative)
        return step.cond.another(self.type, time_noise=noise)
