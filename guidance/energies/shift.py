"""Energies that move x after the solver's step, and how far: the rules of the papers."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance.energies.base import Effect, Estimate
from guidance.energies.descent import Descent
from guidance.protocol import Asking

if TYPE_CHECKING:
    from torch import Tensor

Rule = Literal["constant", "signal", "guidance", "noise", "polyak"]
TINY = 1e-6
"""Gradients shorter than this move nothing."""


class Shift(Descent):
    """x' - rho g after the step to x', g the gradient of the loss in x, back through the network.

    rho by `rule`: `constant` scale (DPS); `signal` scale alpha (FreeDoM, faces); `guidance`
    scale w rms(eps_c - eps_u) / rms(g) (FreeDoM, Stable Diffusion); `noise` scale c rms(eps) sigma / (alpha rms(g)),
    c = alpha' (1 - alpha^2 / alpha'^2) / sigma^2 (FreeDoM, CLIP); `polyak` scale ||eps|| / ||g||^2 (Shen et al.).
    """

    rule: Rule = Field("constant", description="how the length of the move is found")
    scale: float = Field(1.0, ge=0, le=1e6, description="of the rule; 0 is off")

    @property
    def through_network(self) -> bool:
        return True

    @property
    def moves(self) -> bool:
        return True

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"cond", "uncond"}) if self.rule == "guidance" else frozenset()

    def active(self, index: int, count: int) -> bool:
        return self.scale != 0 and super().active(index, count)

    @abstractmethod
    def energy(self, denoised: Tensor, estimate: Estimate) -> Tensor:
        """The 0-dim number whose gradient is taken, of the denoised estimate (1, C, H, W)."""

    def act(self, estimate: Estimate) -> Asking[Effect]:
        energy, gradient = yield from estimate.gradient(lambda denoised: self.energy(denoised, estimate))
        length = self.length(gradient, estimate)
        notes = estimate.step.notes
        notes["loss"], notes["loss_gradient_norm"] = energy, gradient.norm()
        notes["loss_shift_norm"] = length * gradient.norm()
        return Effect(after=-length * gradient)

    def length(self, gradient: Tensor, estimate: Estimate) -> Tensor:
        """rho, 0-dim. Norms are of this sample alone."""
        step, here, after = estimate.step, estimate.step.level, estimate.step.after
        eps, size = estimate.guided.eps.detach(), gradient.norm()
        if self.rule == "constant":
            factor: Tensor = size.new_tensor(self.scale)
        elif self.rule == "signal":
            factor = size.new_tensor(self.scale * here.alpha)
        elif self.rule == "guidance":
            factor = self.scale * step.weight * self._difference(estimate, size) / size.clamp_min(TINY)
        elif self.rule == "noise":
            c = after.alpha * (1 - (here.alpha / after.alpha) ** 2) / here.sigma**2
            factor = self.scale * c * here.ratio * eps.norm() / size.clamp_min(TINY)
        else:
            factor = self.scale * eps.norm() / size.clamp_min(TINY).square()
        return factor.where(size > TINY, size.new_zeros(()))

    def _difference(self, estimate: Estimate, like: Tensor) -> Tensor:
        """||eps_c - eps_u||; 0 where guidance is off, and there is none."""
        if "uncond" not in estimate.seen:
            return like.new_zeros(())
        difference: Tensor = (estimate.seen["cond"].eps - estimate.seen["uncond"].eps).norm()
        return difference.detach()
