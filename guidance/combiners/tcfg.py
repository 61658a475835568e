"""TCFG, tangential damping. Kwon et al. 2025, arXiv:2503.18137, algorithm 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from guidance.combiners.twofold import Twofold
from guidance.prediction import widest
from guidance.protocol import Step
from guidance.stage import Space

if TYPE_CHECKING:
    from torch import Tensor

TINY = 1e-12


class TCFG(Twofold):
    """CFG from the unconditional prediction without what it does not share with the conditional one.

    u' = <u, v> v, with v the first right singular vector of the two rows c and u; u' + w (c - u'). The vector is found
    from the 2 x 2 matrix of their products, in float64.
    """

    paper: ClassVar[str] = "Kwon et al. 2025, arXiv:2503.18137"
    space: ClassVar[Space] = "eps"

    type: Literal["tcfg"] = "tcfg"

    def combined(self, cond: Tensor, uncond: Tensor, step: Step) -> Tensor:
        damped = shared(cond, uncond)
        return damped + step.weight * (cond - damped)


def shared(cond: Tensor, uncond: Tensor) -> Tensor:
    """The part of u (N, C, H, W) along the first right singular vector of (c, u), row by row."""
    c, u = widest(cond.flatten(1)), widest(uncond.flatten(1))
    cc, cu, uu = ((a * b).sum(1, keepdim=True) for a, b in ((c, c), (c, u), (u, u)))
    top = (cc + uu + ((cc - uu) ** 2 + 4 * cu**2).sqrt()) / 2
    of_c, of_u = (top - uu).where(cc >= uu, cu), cu.where(cc >= uu, top - cc)  # the better conditioned of two forms
    vector = of_c * c + of_u * u
    along = (u * vector).sum(1, keepdim=True) / vector.square().sum(1, keepdim=True).clamp_min(TINY)
    # c = u: the vector is u itself, and u' is u but for rounding
    return (along * vector).where((c != u).any(1, keepdim=True), u).to(uncond.dtype).view_as(uncond)
