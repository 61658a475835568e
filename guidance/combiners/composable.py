"""Composable diffusion: several prompts at once. Liu et al. 2022, arXiv:2206.01714, eq. 11."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from guidance.combiners.base import Combiner
from guidance.prompted import Prompted, Wanted
from guidance.protocol import Guide, Step


class Term(Prompted):
    """Another prompt, with its share of the scheduled weight; a negative share moves away from it."""

    share: float = Field(1.0, ge=-100, le=100, description="of the scheduled weight")


class Composable(Combiner):
    """Follow several prompts at once, or all but some: their pushes away from the null condition add up.

    u + w (share (c - u) + sum_i share_i (c_i - u)). With equal prompts and shares that add up to 1 it is CFG.
    """

    paper: ClassVar[str] = "Liu et al. 2022, arXiv:2206.01714"

    type: Literal["composable"] = "composable"
    share: float = Field(1.0, ge=-100, le=100, description="the request's own prompt's share of the weight")
    terms: tuple[Term, ...] = Field((), max_length=8, description="the other prompts")

    def wanted(self) -> dict[str, Wanted]:
        return {f"/terms/{place}": term.wanted for place, term in enumerate(self.terms)}

    def branches(self, weight: float) -> frozenset[str]:
        return frozenset({"cond", "uncond", *(f"term_{place}" for place in range(len(self.terms)))})

    def guide(self, step: Step) -> Guide:
        others = [step.branch(f"term_{place}", term.wanted) for place, term in enumerate(self.terms)]
        cond, uncond, *more = yield [step.cond, step.uncond, *others]
        push = self.share * (cond - uncond)
        for term, prediction in zip(self.terms, more, strict=True):
            push = push + term.share * (prediction - uncond)
        return uncond + step.weight * push
