"""Perp-Neg: only what of a negative prompt is perpendicular to the prompt. Armandpour et al. 2023, arXiv:2304.04968."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance.combiners.base import TINY, Combiner
from guidance.prediction import widest
from guidance.prompted import Prompted, Wanted
from guidance.protocol import Guide, Step

if TYPE_CHECKING:
    from torch import Tensor


class Negative(Prompted):
    """A prompt to move away from."""

    share: float = Field(1.0, ge=0, le=100, description="of the scheduled weight")


class PerpNeg(Combiner):
    """Move away from negative prompts without undoing what they have in common with the prompt.

    u + w (e - sum_i share_i perp(e_i)), e = c - u and e_i = c_i - u, where u is always the null condition and
    perp(e_i) = e_i - <e_i, e> e / ||e||^2. The request's negative prompt, if it has one, is a negative too.
    """

    paper: ClassVar[str] = "Armandpour et al. 2023, arXiv:2304.04968, eq. 12-14"

    type: Literal["perp_neg"] = "perp_neg"
    share: float = Field(1.0, ge=0, le=100, description="of the request's negative prompt")
    negatives: tuple[Negative, ...] = Field((), max_length=8, description="further negative prompts")

    def wanted(self) -> dict[str, Wanted]:
        named: dict[str, Wanted] = {f"/negatives/{place}": term.wanted for place, term in enumerate(self.negatives)}
        return {"": None} | named

    def branches(self, weight: float) -> frozenset[str]:
        return frozenset({"cond", "uncond", "null", *(f"negative_{place}" for place in range(len(self.negatives)))})

    def guide(self, step: Step) -> Guide:
        others = [step.branch(f"negative_{place}", term.wanted) for place, term in enumerate(self.negatives)]
        cond, own, null, *more = yield [step.cond, step.uncond, step.branch("null", None), *others]
        main = cond - null
        push = main
        shares = [self.share, *(term.share for term in self.negatives)]
        for share, negative in zip(shares, [own, *more], strict=True):
            push = push - share * perpendicular(negative - null, main)
        return null + step.weight * push


def perpendicular(tensor: Tensor, to: Tensor) -> Tensor:
    """What of (N, C, H, W) is perpendicular to another, row by row; dots in float64."""
    flat, axis = widest(tensor.flatten(1)), widest(to.flatten(1))
    along = (flat * axis).sum(1, keepdim=True) / axis.square().sum(1, keepdim=True).clamp_min(TINY)
    return (flat - along * axis).to(tensor.dtype).view_as(tensor)
