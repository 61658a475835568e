"""Tangential Amplifying Guidance. Cho et al. 2025, arXiv:2510.04533, as ComfyUI's core applies it."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from guidance.corrections.base import Correction
from guidance.prediction import Prediction, wide
from guidance.protocol import Step

TINY = 1e-8


class TAG(Correction):
    """Amplify the part of the update that is perpendicular to the sample: fewer hallucinated details at no cost.

    In Karras' scale, with y = x / alpha and delta = denoised - y, split along y: y + tangential delta_t + radial
    delta_r. As delta is -sigma / alpha times the noise prediction, that is where it is computed.
    """

    paper: ClassVar[str] = "Cho et al. 2025, arXiv:2510.04533"
    neutral: ClassVar[str] = "tangential = radial = 1"
    pushes_without_signal: ClassVar[bool] = True

    type: Literal["tag"] = "tag"
    tangential: float = Field(1.05, ge=0, le=10)
    radial: float = Field(1.0, ge=0, le=10)
    sigma_low: float = Field(0.0, ge=0, description="sigma / alpha below which nothing is changed")
    sigma_high: float | None = Field(None, gt=0, description="sigma / alpha above which nothing is; null means none")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.sigma_high is not None and self.sigma_low > self.sigma_high:
            raise ValueError(f"sigma_low = {self.sigma_low} must not be above sigma_high = {self.sigma_high}")
        return self

    def correct(self, guided: Prediction, seen: dict[str, Prediction], step: Step) -> Prediction:
        if not self._within(step.level.ratio) or self.tangential == self.radial == 1:
            return guided
        eps, x = wide(guided.eps), wide(guided.x)
        dims = list(range(1, x.ndim))
        along = x / (x.norm(2, dim=dims, keepdim=True) + TINY)
        radial = (eps * along).sum(dim=dims, keepdim=True) * along
        amplified = self.tangential * (eps - radial) + self.radial * radial
        return guided.replaced(amplified.to(guided.value.dtype), "eps")

    def _within(self, ratio: float) -> bool:
        """At zero signal, where the ratio is infinite, the update has no scale."""
        high = float("inf") if self.sigma_high is None else self.sigma_high
        return self.sigma_low <= ratio <= high and ratio < float("inf")
