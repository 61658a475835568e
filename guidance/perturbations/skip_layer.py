"""Skip-layer guidance: Stable Diffusion 3.5, and spatiotemporal skip guidance. Hyung et al. 2024, arXiv:2411.18664."""

from __future__ import annotations

from typing import ClassVar, Literal

from guidance.attention import Edit, SkippedBlock
from guidance.perturbations.layered import Layered


class SkipLayer(Layered):
    """Push away from a prediction that leaves out some of the network's transformer blocks.

    p is the conditional prediction with the chosen blocks replaced by the identity; scale (c - p) is added. Published
    settings are for transformers (SD 3.5 medium: blocks 7 to 9, scale 2.8, from 1 % to 20 % of the steps).
    """

    paper: ClassVar[str] = "Hyung et al. 2024, arXiv:2411.18664"
    neutral: ClassVar[str] = "scale = 0"

    type: Literal["skip_layer"] = "skip_layer"

    def edit(self) -> Edit:
        return SkippedBlock(self.layers)
