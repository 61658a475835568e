"""Universal guidance. Bansal et al. 2023, arXiv:2302.07121, algorithm 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance.energies.base import Effect, Estimate
from guidance.energies.descent import Descent
from guidance.protocol import Asking

if TYPE_CHECKING:
    from torch import Tensor


class Universal(Descent):
    """Push the predicted noise up the gradient of a loss, and the clean picture to where the loss is small.

    Forward: eps + forward sigma grad_x loss(D(x)), back through the network. Backward: Delta by `steps` gradient steps
    on loss(D + Delta) from 0, then eps - alpha / sigma Delta. Its repetition of steps is `travel`.
    """

    paper: ClassVar[str] = "Bansal et al. 2023, arXiv:2302.07121"
    neutral: ClassVar[str] = "forward = 0 and steps = 0"

    type: Literal["universal"] = "universal"
    forward: float = Field(1.0, ge=0, le=1e6, description="weight of forward guidance; 0 is off")
    steps: int = Field(0, ge=0, le=100, description="of backward guidance; 0 is off")
    rate: float = Field(
        0.1, gt=0, le=1e6, description="length of a step of backward guidance, in units of its gradient"
    )

    def active(self, index: int, count: int) -> bool:
        return (self.forward != 0 or self.steps > 0) and super().active(index, count)

    @property
    def through_network(self) -> bool:
        return self.forward != 0

    def act(self, estimate: Estimate) -> Asking[Effect]:
        level, notes = estimate.step.level, estimate.step.notes
        change = estimate.denoised.new_zeros(())
        if self.steps:
            notes["loss"], change = self._backward(estimate)
        if self.forward:
            loss, gradient = yield from estimate.gradient(lambda denoised: self.loss(denoised, estimate).sum())
            notes["loss"], notes["loss_gradient_norm"] = loss, gradient.norm()
            change = change - self.forward * level.sigma * level.ratio * gradient
        return Effect(denoised=change)

    def _backward(self, estimate: Estimate) -> tuple[Tensor, Tensor]:
        """The loss at D, and Delta (1, C, H, W)."""
        start = denoised = estimate.denoised
        losses = []
        for _ in range(self.steps):
            loss, slope = self.slope(denoised, estimate)
            denoised = denoised - self.rate * slope
            losses.append(loss)
        return losses[0], denoised - start
