"""Condition swap: another prompt from some step on. Balaji et al. 2022 (eDiff-I), arXiv:2211.01324, figure 3."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from guidance.conditions.base import ConditionTransform
from guidance.prompted import Prompted, Wanted
from guidance.protocol import Condition, Step


class Change(Prompted):
    """A prompt and when it takes over."""

    at: float = Field(0.5, ge=0, le=1, description="share of the steps before it")


class Swap(ConditionTransform):
    """Change the prompt while sampling: early steps set the layout, late ones the detail.

    From step ceil(at * steps) on the condition is the change's; the last change that has come holds. With `fade`, the
    embeddings are blended linearly over that share of the steps instead.
    """

    paper: ClassVar[str] = "Balaji et al. 2022, arXiv:2211.01324"
    requires: ClassVar[frozenset[str]] = frozenset()
    neutral: ClassVar[str] = "no changes, or at = 1"

    type: Literal["swap"] = "swap"
    changes: tuple[Change, ...] = Field((), max_length=8)
    fade: float = Field(0.0, ge=0, le=1, description="share of the steps over which a change is blended in; text only")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        places = [change.at for change in self.changes]
        if any(late <= early for early, late in pairwise(places)):
            raise ValueError(f"changes must come one after the other; at = {', '.join(f'{at:g}' for at in places)}")
        return self

    def wanted(self) -> dict[str, Wanted]:
        return {f"/changes/{place}": change.wanted for place, change in enumerate(self.changes)}

    def apply(self, step: Step) -> Step:
        condition, length = step.cond.cond, self.fade * step.count
        for change in self.changes:
            behind = step.index - change.at * step.count
            if behind >= 0:
                share = min(1.0, (behind + 1) / length) if length >= 1 else 1.0
                condition = blended(condition, step.others[change.wanted], share)
        return step if condition is step.cond.cond else step.with_condition(condition)


def blended(old: Condition, new: Condition, share: float) -> Condition:
    """`share` of the new embeddings, the rest of the old ones'; a condition without embeddings changes at once."""
    if share == 1 or not new.embeddings:
        return new
    embeddings = {name: old.embeddings[name].lerp(value, share) for name, value in new.embeddings.items()}
    elsewhere = {id: blended(old.elsewhere[id], told, share) for id, told in new.elsewhere.items()}
    return replace(new, embeddings=embeddings, elsewhere=elsewhere)
