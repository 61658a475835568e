"""T-Norm. From the fast.ai forum thread on dynamic classifier-free guidance; formula as in its notebook's code.

The notebook's text divides by ||u|| where its code multiplies; with the text's formula its own weights do nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guidance.combiners.relative_push import RelativePush, pushed
from guidance.protocol import Step

if TYPE_CHECKING:
    from torch import Tensor


class TNorm(RelativePush):
    """Push by a fixed share of the unconditional prediction's length, whatever the distance between the two.

    u + w (c - u) / ||c - u|| * ||u||. The weight is that share: useful values are 0.05 to 0.25; 0 is unconditional.
    """

    type: Literal["t_norm"] = "t_norm"

    def combined(self, cond: Tensor, uncond: Tensor, step: Step) -> Tensor:
        return pushed(cond, uncond, step.weight)
