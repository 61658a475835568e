"""Manifold-preserving guided diffusion. He et al. 2023, arXiv:2311.16424, algorithm 1."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from guidance.energies.base import Effect, Estimate
from guidance.energies.descent import Descent
from guidance.protocol import Asking


class MPGD(Descent):
    """Move the denoised estimate down the gradient of a loss and keep the predicted noise: no gradient of the network.

    x' = alpha' (D - scale grad_D loss(D)) + sigma' eps: the solver's own step, moved by alpha' times the descent.
    """

    paper: ClassVar[str] = "He et al. 2023, arXiv:2311.16424"
    neutral: ClassVar[str] = "scale = 0"

    type: Literal["mpgd"] = "mpgd"
    scale: float = Field(3.0, ge=0, le=1e6, description="0 is off")

    def active(self, index: int, count: int) -> bool:
        return self.scale != 0 and super().active(index, count)

    @property
    def moves(self) -> bool:
        return True

    def act(self, estimate: Estimate) -> Asking[Effect]:
        yield from ()
        loss, gradient = self.slope(estimate.denoised, estimate)
        notes = estimate.step.notes
        notes["loss"], notes["loss_gradient_norm"] = loss, gradient.norm()
        return Effect(after=-self.scale * estimate.step.after.alpha * gradient)
