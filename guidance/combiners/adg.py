"""ADG, angle-domain guidance. Jin et al. 2025, arXiv:2506.11039, algorithm 1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance.combiners.base import TINY
from guidance.combiners.perp_neg import perpendicular
from guidance.combiners.twofold import Twofold
from guidance.prediction import widest
from guidance.protocol import Step
from guidance.stage import Space

if TYPE_CHECKING:
    from torch import Tensor

SMALL = 1e-3
"""Below this sine the turn is taken as straight."""


class ADG(Twofold):
    """Turn the denoised estimate away from the unconditional one instead of stretching it: no growing norms.

    theta is the angle between D_c and D_u, theta' = (w - 1) theta, at most `largest`, d the part of D_c perpendicular
    to D_u: cos(theta') D_c + sin(theta') d / sin(theta). Below w = 1 nothing is turned. (The published code adds 0.001
    to w - 1.)
    """

    paper: ClassVar[str] = "Jin et al. 2025, arXiv:2506.11039"
    space: ClassVar[Space] = "denoised"

    type: Literal["adg"] = "adg"
    largest: float = Field(math.pi / 3, gt=0, le=math.pi, description="radians, of the turn")

    def combined(self, cond: Tensor, uncond: Tensor, step: Step) -> Tensor:
        across, gamma = perpendicular(cond - uncond, uncond), max(step.weight - 1, 0.0)
        c, u, d = (widest(part.flatten(1)) for part in (cond, uncond, across))
        height, length = d.norm(dim=1), u.norm(dim=1).clamp_min(TINY)
        theta = height.atan2((c * u).sum(1) / length)
        turn = (gamma * theta).clamp_max(self.largest)
        sine = theta.sin()
        of_across = (turn.sin() / sine.clamp_min(SMALL)).where(sine > SMALL, gamma)
        rows = (-1, *[1] * (cond.ndim - 1))
        cosine, share = (part.to(cond.dtype).view(rows) for part in (turn.cos(), of_across))
        turned: Tensor = cosine * cond + share * across
        return turned
