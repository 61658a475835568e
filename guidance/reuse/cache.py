"""Guidance cache: the difference of the two predictions, kept for some steps. After FasterCache (Lv et al. 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance.prediction import Prediction
from guidance.protocol import Guide, Step
from guidance.reuse.base import Reuse
from guidance.stage import Space

if TYPE_CHECKING:
    from torch import Tensor


class Cache(Reuse):
    """Evaluate the unconditional branch at every n-th step only, and reuse its distance from the conditional one.

    c + (w - 1) (c - u)', where (c - u)' is the last difference of noise predictions that was evaluated.
    """

    paper: ClassVar[str] = "Lv et al. 2024 (FasterCache), arXiv:2410.19355; kept whole, not by frequency"
    neutral: ClassVar[str] = "start = 1, or every = 1"
    combiners: ClassVar[frozenset[str] | None] = frozenset({"cfg"})
    space: ClassVar[Space] = "eps"

    type: Literal["cache"] = "cache"
    start: float = Field(0.3, ge=0, le=1, description="share of the steps before which nothing is reused")
    every: int = Field(2, ge=1, le=250, description="from there on, every n-th step is evaluated in full")

    def skips(self, index: int, count: int) -> bool:
        first = next((step for step in range(count) if step >= self.start * count), count)
        return index > 0 and index >= first and (index - first) % self.every != 0

    def guide(self, step: Step) -> Guide | None:
        return self._reused(step) if self.skips(step.index, step.count) and self.type in step.memory else None

    def _reused(self, step: Step) -> Guide:
        [cond] = yield [step.cond]
        difference: Tensor = step.memory[self.type]
        return cond + (step.weight - 1) * difference

    def observe(self, seen: dict[str, Prediction], step: Step) -> None:
        if not step.call and {"cond", "uncond"} <= seen.keys():
            step.memory[self.type] = seen["cond"].eps - seen["uncond"].eps
