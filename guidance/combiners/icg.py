"""Independent condition guidance. Sadat et al. 2024, arXiv:2407.02687, section 4.1."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from guidance.combiners.base import Combiner
from guidance.protocol import Condition, Guide, Step

if TYPE_CHECKING:
    from torch import Tensor


class ICG(Combiner):
    """CFG for models without a null condition: a random condition stands for it, drawn anew at each step.

    r + w (c - r), r the prediction under Gaussian noise with the mean and deviation of the condition's embedding.
    The negative prompt is not used.
    """

    paper: ClassVar[str] = "Sadat et al. 2024, arXiv:2407.02687"
    requires: ClassVar[frozenset[str]] = frozenset({"condition_embedding"})
    neutral: ClassVar[str] = "weight = 1"

    type: Literal["icg"] = "icg"

    def branches(self, weight: float) -> frozenset[str]:
        return frozenset({"cond"}) if weight == 1 else frozenset({"cond", "random"})

    def guide(self, step: Step) -> Guide:
        needed = [step.uncond] if "uncond" in step.needs else []
        if step.weight == 1:
            cond, *_ = yield [step.cond, *needed]
            return cond
        cond, random, *_ = yield [step.cond, step.cond.another("random", cond=self._random(step)), *needed]
        return random + step.weight * (cond - random)

    def _random(self, step: Step) -> Condition:
        if step.call == 0:  # one draw a step
            step.memory[self.type] = replace(
                step.cond.cond, embeddings={name: random_like(e, step) for name, e in step.cond.cond.embeddings.items()}
            )
        drawn: Condition = step.memory[self.type]
        return drawn


def random_like(embedding: Tensor, step: Step) -> Tensor:
    """Gaussian noise with the embedding's mean and deviation, from the step's generator."""
    return step.noise_like(embedding) * embedding.std() + embedding.mean()
