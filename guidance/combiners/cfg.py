"""Classifier-free guidance. Ho & Salimans 2022, arXiv:2207.12598, eq. 6 (weight here = the paper's w + 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from guidance.combiners.twofold import Twofold
from guidance.protocol import Step

if TYPE_CHECKING:
    from torch import Tensor


class CFG(Twofold):
    """Push the prediction away from the unconditional one: more fidelity, less variety.

    u + w (c - u).
    """

    paper: ClassVar[str] = "Ho & Salimans 2022, arXiv:2207.12598"
    alone: ClassVar[Mapping[float, str]] = {0.0: "uncond", 1.0: "cond"}

    type: Literal["cfg"] = "cfg"

    def combined(self, cond: Tensor, uncond: Tensor, step: Step) -> Tensor:
        return uncond + step.weight * (cond - uncond)
