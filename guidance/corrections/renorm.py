"""Renormalisation of the guided prediction to the conditional one, as 2025's pipelines do it.

Qwen-Image and Z-Image in diffusers, CFGNorm and RenormCFG in ComfyUI: one operation with four settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance.corrections.base import Correction
from guidance.prediction import Prediction, wide
from guidance.protocol import Step
from guidance.stage import Preset, Space

if TYPE_CHECKING:
    from torch import Tensor

TINY = 1e-12
"""Keeps a division by a vanishing norm finite."""


class Renorm(Correction):
    """Scale the guided prediction to k times the length of the conditional one: less burn at high weights.

    match: g k ||c|| / ||g||. cap: the same where ||g|| > k ||c||, g elsewhere.
    """

    paper: ClassVar[str] = "Qwen-Image 2025, arXiv:2508.02324; Z-Image 2025, arXiv:2511.22699; code in diffusers"
    neutral: ClassVar[str] = "mode = cap with k above every ||g|| / ||c||; k = 1 where weight = 1"
    needs: ClassVar[frozenset[str]] = frozenset({"cond"})
    normalises: ClassVar[bool] = True
    pushes_without_signal: ClassVar[bool] = True
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "qwen_image",
            "CFG at 4, each pixel at the length of the conditional one (there each token, 2 x 2 pixels)",
            {
                "combiner": {"type": "cfg"},
                "schedule": {"type": "constant", "weight": 4.0},
                "correction": [{"type": "renorm", "space": "model", "dims": "channels", "mode": "match"}],
            },
            "Qwen-Image 2025, arXiv:2508.02324, as in diffusers",
        ),
        Preset(
            "z_image",
            "CFG at 6 (5 as Z-Image counts), no longer than the conditional prediction",
            {
                "combiner": {"type": "cfg"},
                "schedule": {"type": "constant", "weight": 6.0},
                "correction": [{"type": "renorm", "space": "model", "dims": "sample", "mode": "cap"}],
            },
            "Z-Image 2025, arXiv:2511.22699, as in diffusers",
        ),
        Preset(
            "comfyui_cfg_norm",
            "Each pixel of the denoised estimate no longer than the conditional one",
            {"correction": [{"type": "renorm", "space": "denoised", "dims": "channels", "mode": "cap"}]},
            "ComfyUI, node CFGNorm",
        ),
        Preset(
            "comfyui_renorm_cfg",
            "The denoised estimate no longer than the conditional one",
            {"correction": [{"type": "renorm", "space": "denoised", "dims": "sample", "mode": "cap"}]},
            "ComfyUI, node RenormCFG (for Lumina-Image 2.0)",
        ),
    )

    type: Literal["renorm"] = "renorm"
    space: Literal["model", "v", "denoised"] = Field("model", description="where lengths are taken")
    dims: Literal["sample", "channels"] = Field("sample", description="one length for all, or one for each pixel")
    mode: Literal["match", "cap"] = "cap"
    k: float = Field(1.0, gt=0, le=100)

    def correct(self, guided: Prediction, seen: dict[str, Prediction], step: Step) -> Prediction:
        space: Space = "output" if self.space == "model" else self.space
        g = guided.view(space)
        length = self._length(g)
        ratio = self.k * self._length(seen["cond"].view(space)) / length.clamp_min(TINY)
        if self.mode == "cap":
            ratio = ratio.clamp_max(1)
        ratio = ratio.where(length > TINY, ratio.new_ones(()))
        return guided.replaced((g * ratio).to(g.dtype), space)

    def _length(self, tensor: Tensor) -> Tensor:
        """Euclidean, kept broadcastable, in at least float32."""
        dims = 1 if self.dims == "channels" else list(range(1, tensor.ndim))
        length: Tensor = wide(tensor).norm(2, dim=dims, keepdim=True)
        return length
