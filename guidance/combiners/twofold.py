"""Combiners of the conditional and the unconditional prediction: what most of them have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from guidance.combiners.base import Combiner
from guidance.protocol import Guide, Step

if TYPE_CHECKING:
    from torch import Tensor


class Twofold(Combiner):
    """One formula of c and u. At the weights of `alone` one of them is the answer, and the other is not evaluated."""

    neutral: ClassVar[str] = "weight = 1"
    alone: ClassVar[Mapping[float, str]] = {1.0: "cond"}

    def branches(self, weight: float) -> frozenset[str]:
        return frozenset({self.alone[weight]} if weight in self.alone else {"cond", "uncond"})

    def guide(self, step: Step) -> Guide:
        asked = sorted(self.branches(step.weight) | step.needs)
        answers = yield [step.cond if name == "cond" else step.uncond for name in asked]
        seen = dict(zip(asked, answers, strict=True))
        if step.weight in self.alone:
            return seen[self.alone[step.weight]]
        return self.combined(seen["cond"], seen["uncond"], step)

    @abstractmethod
    def combined(self, cond: Tensor, uncond: Tensor, step: Step) -> Tensor:
        """The guided prediction, of predictions (N, C, H, W) in the method's space."""
