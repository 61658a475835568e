"""Dynamic thresholding that mimics a lower weight: the sd-dynamic-thresholding extension (mcmonkeyprojects, 2023).

It acts on the denoised estimate, x minus the scaled noise, as the extension's node does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance.corrections.base import Correction
from guidance.prediction import Prediction, wide
from guidance.protocol import Step

if TYPE_CHECKING:
    from torch import Tensor

ROUNDING = 1e-6
"""A spread below this share of the largest value is rounding of a constant, in float32."""


class MimicThreshold(Correction):
    """Give the guided denoised estimate the spread it would have at a lower weight: high weights without burn.

    M = u + w_m (c - u), centred in each channel: T = mean + T', M = mean + M'. R = max(max|M'|, quantile(|T'|));
    mean + clip(T', -R, R) max|M'| / R, blended with T by phi. Fit for latents: the range is taken from M, not given.
    """

    paper: ClassVar[str] = "mcmonkeyprojects 2023, sd-dynamic-thresholding; after Saharia et al. 2022, arXiv:2205.11487"
    neutral: ClassVar[str] = "phi = 0; or weight = the mimicked one with percentile = 1"
    needs: ClassVar[frozenset[str]] = frozenset({"cond", "uncond"})
    requires: ClassVar[frozenset[str]] = frozenset({"null_condition"})
    pushes_without_signal: ClassVar[bool] = True

    type: Literal["mimic_threshold"] = "mimic_threshold"
    weight: float = Field(7.0, ge=-1000, le=1000, description="w_m, the weight whose spread is mimicked")
    percentile: float = Field(1.0, gt=0, le=1, description="of |T'|; 1 is its maximum")
    phi: float = Field(1.0, ge=0, le=1)
    start: Literal["mean", "zero"] = Field("mean", description="what is kept: each channel's mean, or zero")
    measure: Literal["ad", "std"] = Field("ad", description="spread as absolute deviation or standard deviation")
    per_channel: bool = Field(True, description="a spread for each channel, or one for the image")

    def correct(self, guided: Prediction, seen: dict[str, Prediction], step: Step) -> Prediction:
        if "uncond" not in seen:  # guidance is off: there is no other weight to mimic
            return guided
        cond, uncond, target = (wide(p.denoised) for p in (seen["cond"], seen["uncond"], guided))
        mimic = uncond + self.weight * (cond - uncond)
        mean = target.mean(dim=(2, 3), keepdim=True)
        centred, mimic = target - mean, mimic - mimic.mean(dim=(2, 3), keepdim=True)
        mimicked, spread = self._spread(mimic, 1.0), self._spread(centred, self.percentile)
        rounding = ROUNDING * target.abs().amax(dim=(1, 2, 3), keepdim=True)
        if self.measure == "ad" and self.start == "mean":
            spread = mimicked.maximum(spread)
            centred = centred.clamp(-spread, spread)
        ratio = (mimicked / spread).where(spread > rounding, spread.new_ones(()))  # a constant stays
        result = target * ratio if self.start == "zero" else mean + centred * ratio
        step.notes["threshold"] = spread[0].amax()
        return guided.replaced((self.phi * result + (1 - self.phi) * target).to(guided.value.dtype), "denoised")

    def _spread(self, centred: Tensor, percentile: float) -> Tensor:
        """Of each channel or of the image, (B, C or 1, 1, 1)."""
        flat = centred.flatten(2) if self.per_channel else centred.flatten(1)[:, None]
        if self.measure == "std":
            spread = flat.std(dim=2, correction=min(1, flat.shape[2] - 1))
        else:
            spread = flat.abs().quantile(percentile, dim=2)
        return spread[:, :, None, None]
