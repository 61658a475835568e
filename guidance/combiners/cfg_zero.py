"""CFG-Zero*: the optimal scale of the unconditional prediction. Fan et al. 2025, arXiv:2503.18886, eq. 12."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from guidance.combiners.twofold import Twofold
from guidance.prediction import widest
from guidance.protocol import Step
from guidance.stage import Space

if TYPE_CHECKING:
    from torch import Tensor

TINY = 1e-8


class CFGZero(Twofold):
    """CFG from the multiple of the unconditional velocity that is nearest to the conditional one.

    s u + w (c - s u), s = <c, u> / ||u||^2, on velocities. The authors' models are flows; here the velocity is that of
    the variance-preserving path, v. Their zero-init, which stands still for the first steps, is of flows alone and not
    offered.
    """

    paper: ClassVar[str] = "Fan et al. 2025, arXiv:2503.18886"
    space: ClassVar[Space] = "v"

    type: Literal["cfg_zero"] = "cfg_zero"

    def combined(self, cond: Tensor, uncond: Tensor, step: Step) -> Tensor:
        scaled = scale(cond, uncond) * uncond
        return scaled + step.weight * (cond - scaled)


def scale(cond: Tensor, uncond: Tensor) -> Tensor:
    """<c, u> / ||u||^2 of (N, C, H, W), row by row, kept broadcastable; dots in float64."""
    c, u = widest(cond.flatten(1)), widest(uncond.flatten(1))
    ratio = (c * u).sum(1) / (u * u).sum(1).clamp_min(TINY)
    return ratio.to(cond.dtype).view(-1, *[1] * (cond.ndim - 1))
