"""Guidance rescale. Lin et al. 2023, arXiv:2305.08891, section 3.4, eq. 15-16."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance.corrections.base import Correction
from guidance.prediction import Prediction
from guidance.protocol import Step
from guidance.stage import Space

if TYPE_CHECKING:
    from torch import Tensor


ROUNDING = 1e-6
"""A deviation below this share of the largest value is rounding of a constant, in float32."""


def deviation(tensor: Tensor) -> Tensor:
    """Unbiased standard deviation over everything but the batch, kept broadcastable."""
    return tensor.std(dim=list(range(1, tensor.ndim)), keepdim=True)


class Rescale(Correction):
    """Bring the guided prediction back to the standard deviation of the conditional one: cures over-exposure.

    g std(c) / std(g), blended with g by phi.
    """

    paper: ClassVar[str] = "Lin et al. 2023, arXiv:2305.08891"
    neutral: ClassVar[str] = "phi = 0, or weight = 1"
    needs: ClassVar[frozenset[str]] = frozenset({"cond"})
    normalises: ClassVar[bool] = True

    type: Literal["rescale"] = "rescale"
    phi: float = Field(0.7, ge=0, le=1)
    space: Literal["model", "v", "denoised"] = Field("model", description="where deviations are taken")

    def correct(self, guided: Prediction, seen: dict[str, Prediction], step: Step) -> Prediction:
        space: Space = "output" if self.space == "model" else self.space
        g = guided.view(space)
        spread = deviation(g)
        constant = spread <= ROUNDING * g.abs().amax(dim=list(range(1, g.ndim)), keepdim=True)
        rescaled = g.where(constant, g * (deviation(seen["cond"].view(space)) / spread))  # a constant g stays
        return guided.replaced(self.phi * rescaled + (1 - self.phi) * g, space)
