"""Static thresholding. Saharia et al. 2022 (Imagen), arXiv:2205.11487, section 2.3."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from guidance.corrections.base import Correction
from guidance.prediction import Prediction
from guidance.protocol import Step


class StaticThreshold(Correction):
    """Clip the denoised estimate to [-bound, bound]; the noise prediction is recomputed from the clipped estimate.

    clip(denoised, -bound, bound).
    """

    paper: ClassVar[str] = "Saharia et al. 2022, arXiv:2205.11487"
    neutral: ClassVar[str] = "bound above every |denoised|"
    pushes_without_signal: ClassVar[bool] = True

    type: Literal["static_threshold"] = "static_threshold"
    bound: float = Field(1.0, ge=1e-6, le=1e6, description="1 is the pixel range of the paper")
    latent_ok: bool = Field(False, description="say true to use it on latents, whose range is not [-1, 1]")

    def correct(self, guided: Prediction, seen: dict[str, Prediction], step: Step) -> Prediction:
        step.notes["threshold"] = self.bound
        return guided.replaced(guided.denoised.clamp(-self.bound, self.bound), "denoised")
