"""Power-law guidance. Pavasovic et al. 2025, arXiv:2502.07849, eq. 11."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from guidance.combiners.base import norm
from guidance.combiners.twofold import Twofold
from guidance.protocol import Step
from guidance.stage import Space

if TYPE_CHECKING:
    from torch import Tensor


class PowerLaw(Twofold):
    """CFG that pushes harder where the two scores are far apart, and lets go where they agree.

    c + (w - 1) ||s_c - s_u||^a (c - u), with scores s = -eps / sigma. The norm grows with the latent's size, so useful
    weights are close to 1.
    """

    paper: ClassVar[str] = "Pavasovic et al. 2025, arXiv:2502.07849"
    space: ClassVar[Space] = "eps"
    default_schedule: ClassVar[dict[str, Any]] = {"type": "constant", "weight": 1.5}

    type: Literal["power_law"] = "power_law"
    power: float = Field(0.9, ge=0, le=4, description="a; 0 is CFG")

    def combined(self, cond: Tensor, uncond: Tensor, step: Step) -> Tensor:
        difference = cond - uncond
        gamma = (step.weight - 1) * (norm(difference) / step.level.sigma) ** self.power
        step.notes["effective_weight"] = 1 + gamma.flatten()[0]
        return cond + gamma * difference
