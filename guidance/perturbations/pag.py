"""Perturbed-attention guidance. Ahn et al. 2024, arXiv:2403.17377, eq. 13-14."""

from __future__ import annotations

from typing import ClassVar, Literal

from guidance.attention import Edit, IdentityAttention
from guidance.perturbations.layered import Layered
from guidance.stage import Preset


class PAG(Layered):
    """Push away from a prediction whose self-attention sees each token alone: better structure.

    Needs no null condition.

    p is the conditional prediction with the attention map of the chosen layers replaced by the identity;
    scale (c - p) is added. The authors' ADM code counts its scale from 1.
    """

    paper: ClassVar[str] = "Ahn et al. 2024, arXiv:2403.17377"
    neutral: ClassVar[str] = "scale = 0"
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "pag_with_cfg",
            "PAG at 3 in the middle block beside CFG at 4",
            {"schedule": {"type": "constant", "weight": 4.0}, "perturbation": [{"type": "pag", "scale": 3.0}]},
        ),
        Preset(
            "pag_alone",
            "PAG at 5 in the middle block, without CFG",
            {"schedule": {"type": "constant", "weight": 1.0}, "perturbation": [{"type": "pag", "scale": 5.0}]},
        ),
    )

    type: Literal["pag"] = "pag"

    def edit(self) -> Edit:
        return IdentityAttention(self.layers)
