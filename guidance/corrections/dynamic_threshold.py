"""Dynamic thresholding. Saharia et al. 2022 (Imagen), arXiv:2205.11487, section 2.3."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from guidance.corrections.base import Correction
from guidance.prediction import Prediction, wide
from guidance.protocol import Step


class DynamicThreshold(Correction):
    """Clip the denoised estimate at a percentile of its own magnitude, then divide by it: less saturation.

    s = quantile(|denoised|, percentile), kept in [bound, maximum]; clip(denoised, -s, s) * bound / s.
    The noise prediction is recomputed from the result.
    """

    paper: ClassVar[str] = "Saharia et al. 2022, arXiv:2205.11487"
    neutral: ClassVar[str] = "bound above every |denoised|; maximum = bound is static thresholding"
    pushes_without_signal: ClassVar[bool] = True

    type: Literal["dynamic_threshold"] = "dynamic_threshold"
    percentile: float = Field(0.995, gt=0, le=1)
    bound: float = Field(1.0, ge=1e-6, le=1e6, description="1 is the pixel range of the paper")
    maximum: float | None = Field(None, ge=1e-6, le=1e6, description="upper bound of s; null means none")
    latent_ok: bool = Field(False, description="say true to use it on latents, whose range is not [-1, 1]")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.maximum is not None and self.maximum < self.bound:
            raise ValueError(f"maximum = {self.maximum} must not be below bound = {self.bound}")
        return self

    def correct(self, guided: Prediction, seen: dict[str, Prediction], step: Step) -> Prediction:
        denoised = guided.denoised
        s = wide(denoised).abs().flatten(1).quantile(self.percentile, dim=1).clamp(self.bound, self.maximum)
        step.notes["threshold"] = s[0]
        s = s.to(denoised.dtype).view(-1, *[1] * (denoised.ndim - 1))
        return guided.replaced(denoised.clamp(-s, s) * (self.bound / s), "denoised")
