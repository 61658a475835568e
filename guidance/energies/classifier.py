"""Classifier guidance. Dhariwal & Nichol 2021, arXiv:2105.05233, algorithms 1 and 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from guidance.energies.base import Effect, Energy, Estimate
from guidance.losses import ClassName, indices
from guidance.protocol import Asking
from guidance.stage import Preset


class Classifier(Energy):
    """Push towards classes by the gradient of a classifier that reads the noisy sample itself.

    G = scale grad_x ln p(classes | x). Algorithm 2, for any solver: eps - sigma G. Algorithm 1, for DDPM: the mean of
    the step is moved by its variance times G. On the conditional model where the schedule's weight is 1, on the
    unconditional one where it is 0, beside CFG elsewhere.
    """

    paper: ClassVar[str] = "Dhariwal & Nichol 2021, arXiv:2105.05233"
    requires: ClassVar[frozenset[str]] = frozenset({"classifier"})
    neutral: ClassVar[str] = "scale = 0"
    descends: ClassVar[bool] = False

    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "classifier_guidance",
            "Classifier guidance at 1 on the conditional model; name your own class",
            {
                "schedule": {"type": "constant", "weight": 1},
                "energy": [{"type": "classifier", "labels": [0], "scale": 1.0}],
            },
        ),
        Preset(
            "classifier_guidance_unconditional",
            "Classifier guidance at 10 on the unconditional model; name your own class",
            {
                "schedule": {"type": "constant", "weight": 0},
                "energy": [{"type": "classifier", "labels": [0], "scale": 10.0}],
            },
        ),
    )

    type: Literal["classifier"] = "classifier"
    labels: tuple[ClassName, ...] = Field(
        min_length=1, max_length=8, description="classes that the model tells apart (GET /v1/models), by name or index"
    )
    scale: float = Field(1.0, ge=-1000, le=1000, description="0 is off")
    form: Literal["score", "mean"] = Field("score", description="algorithm 2; or algorithm 1, with the sampler ddpm")

    def active(self, index: int, count: int) -> bool:
        return self.scale != 0 and super().active(index, count)

    @property
    def moves(self) -> bool:
        return self.form == "mean"

    def classes(self) -> dict[str, Sequence[ClassName]]:
        return {"/labels": self.labels}

    def act(self, estimate: Estimate) -> Asking[Effect]:
        from torch import enable_grad
        from torch.autograd import grad

        yield from ()
        step, model = estimate.step, estimate.model
        x = step.cond.x.detach().requires_grad_()
        with enable_grad():
            likelihood = model.log_probability(x, step.level, indices(self.labels, model.info.classes)).sum()
            [gradient] = grad(likelihood, x)
        step.notes["class_log_probability"] = likelihood.detach()
        gradient = self.scale * gradient
        if self.form == "mean":
            return Effect(after=self._variance(estimate) * gradient)
        return Effect(denoised=step.level.sigma * step.level.ratio * gradient)

    def _variance(self, estimate: Estimate) -> float:
        """Of DDPM's step: beta~ = sigma'^2 / sigma^2 (1 - alpha^2 / alpha'^2)."""
        here, after = estimate.step.level, estimate.step.after
        return (after.sigma / here.sigma) ** 2 * (1 - (here.alpha / after.alpha) ** 2)
