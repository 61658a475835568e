"""Combiners of the conditional and the unconditional prediction that are neutral at weight 1."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from guidance.combiners.base import Combiner
from guidance.protocol import Guide, Step

if TYPE_CHECKING:
    from torch import Tensor


class Twofold(Combiner):
    """One formula of c and u, which are both evaluated wherever the weight is not 1."""

    neutral: ClassVar[str] = "weight = 1"

    def branches(self, weight: float) -> frozenset[str]:
        return frozenset({"cond"}) if weight == 1 else frozenset({"cond", "uncond"})

    def guide(self, step: Step) -> Guide:
        if step.weight == 1:
            cond, *_ = yield [step.cond, *([step.uncond] if "uncond" in step.needs else [])]
            return cond
        cond, uncond = yield [step.cond, step.uncond]
        return self.combined(cond, uncond, step)

    @abstractmethod
    def combined(self, cond: Tensor, uncond: Tensor, step: Step) -> Tensor:
        """The guided prediction, of predictions (N, C, H, W) in the method's space."""
