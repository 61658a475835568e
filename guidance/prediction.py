"""One network output and the views of it. The only place where parameterisations are converted.

With x = alpha * denoised + sigma * eps, and v = alpha * eps - sigma * denoised where alpha^2 + sigma^2 = 1
(Salimans & Ho 2022, arXiv:2202.00512, appendix D).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from guidance.noise import Level
from guidance.stage import Space

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["eps", "v", "denoised"]

WITHOUT_FLOAT64 = frozenset({"mps"})
"""Devices on which float64 raises."""


def wide(tensor: Tensor) -> Tensor:
    """In at least float32: where norms, deviations and products are taken."""
    return tensor if tensor.element_size() >= 4 else tensor.float()


def widest(tensor: Tensor) -> Tensor:
    """In float64: where products cancel. Devices without it sum in float32, good to about 1e-6, rather than wait for
    the host."""
    return wide(tensor) if tensor.device.type in WITHOUT_FLOAT64 else tensor.double()


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network said of `x` at `level`: `value` in parameterisation `kind`. Tensors are (1, C, H, W)."""

    x: Tensor
    level: Level
    value: Tensor
    kind: Kind

    @property
    def denoised(self) -> Tensor:
        """D(x; sigma, c) = E[x0 | x, c]. Undefined for an `eps` output at zero signal (alpha = 0)."""
        if self.kind == "denoised":
            return self.value
        if self.kind == "eps":
            return (self.x - self.level.sigma * self.value) / self.level.alpha
        return self.level.alpha * self.x - self.level.sigma * self.value

    @property
    def eps(self) -> Tensor:
        """The noise prediction (x - alpha * denoised) / sigma."""
        if self.kind == "eps":
            return self.value
        if self.kind == "denoised":
            return (self.x - self.level.alpha * self.value) / self.level.sigma
        return self.level.sigma * self.x + self.level.alpha * self.value

    @property
    def v(self) -> Tensor:
        """alpha * eps - sigma * denoised."""
        if self.kind == "v":
            return self.value
        if self.kind == "eps":
            return (self.value - self.level.sigma * self.x) / self.level.alpha
        return (self.level.alpha * self.x - self.value) / self.level.sigma

    @property
    def score(self) -> Tensor:
        """The score of the noisy marginal, -eps / sigma."""
        return -self.eps / self.level.sigma

    def view(self, space: Space) -> Tensor:
        """The value in `space`; `output` is the network's own, untouched."""
        if space == "output":
            return self.value
        return {"eps": Prediction.eps, "v": Prediction.v, "denoised": Prediction.denoised}[space].fget(self)  # type: ignore[attr-defined,no-any-return]

    def replaced(self, value: Tensor, space: Space) -> Prediction:
        """The prediction that says `value` in `space`, expressed as the same kind as this one."""
        if space in ("output", self.kind):
            return Prediction(self.x, self.level, value, self.kind)
        other = Prediction(self.x, self.level, value, space)  # type: ignore[arg-type]
        return Prediction(self.x, self.level, other.view(self.kind), self.kind)
