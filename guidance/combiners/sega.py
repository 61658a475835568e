"""SEGA, semantic guidance. Brack et al. 2023, arXiv:2301.12247, eq. 4-9, in the constants of the published pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from guidance.combiners.base import Combiner
from guidance.prediction import wide
from guidance.prompted import Prompted, Wanted
from guidance.protocol import Guide, Step
from guidance.stage import Space

if TYPE_CHECKING:
    from torch import Tensor


class Concept(Prompted):
    """An edit: towards a prompt, or away from it, where it matters most."""

    scale: float = Field(5.0, ge=0, le=100, description="strength of the edit")
    away: bool = Field(False, description="away from the prompt instead of towards it")
    share: float = Field(1.0, ge=0, le=100, description="weight among the concepts")
    quantile: float = Field(0.9, ge=0, lt=1, description="of |edit| per channel: what lies below is left alone")
    warmup: float = Field(0.2, ge=0, le=1, description="share of the steps before it acts")
    cooldown: float = Field(1.0, ge=0, le=1, description="share of the steps after which it stops")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.warmup >= self.cooldown:
            raise ValueError(f"warmup = {self.warmup} must be below cooldown = {self.cooldown}")
        return self

    def warm(self, step: Step) -> bool:
        return step.index >= self.warmup * step.count

    def cooled(self, step: Step) -> bool:
        return step.index >= self.cooldown * step.count

    def push(self, prediction: Tensor, uncond: Tensor) -> Tensor:
        """The edit (N, C, H, W) at full strength: its largest entries of each channel."""
        edit = (-self.scale if self.away else self.scale) * (prediction - uncond)
        bound = wide(edit).abs().flatten(2).quantile(self.quantile, dim=2)[:, :, None, None]
        return edit.where(edit.abs() >= bound, 0.0)


class SEGA(Combiner):
    """Steer a picture towards or away from concepts, each only where it matters most.

    u + w (c - u) + sum_k share_k m_k * (+-scale_k (e_k - u)) + momentum, m_k the mask of the largest entries. Until all
    concepts are past their warm-up, those that are share a total of 1 and act without momentum, which builds up
    meanwhile.
    """

    paper: ClassVar[str] = "Brack et al. 2023, arXiv:2301.12247"
    space: ClassVar[Space] = "eps"

    type: Literal["sega"] = "sega"
    concepts: tuple[Concept, ...] = Field((), max_length=8, description="none: CFG")
    momentum_scale: float = Field(0.1, ge=0, le=1)
    momentum_beta: float = Field(0.4, ge=0, lt=1)

    def wanted(self) -> dict[str, Wanted]:
        return {f"/concepts/{place}": concept.wanted for place, concept in enumerate(self.concepts)}

    def branches(self, weight: float) -> frozenset[str]:
        return frozenset({"cond", "uncond", *(f"concept_{place}" for place in range(len(self.concepts)))})

    def guide(self, step: Step) -> Guide:
        asked = [step.branch(f"concept_{place}", concept.wanted) for place, concept in enumerate(self.concepts)]
        cond, uncond, *told = yield [step.cond, step.uncond, *asked]
        guided = uncond + step.weight * (cond - uncond)
        if not self.concepts:
            return guided
        shares = [0.0 if concept.cooled(step) else concept.share for concept in self.concepts]
        edits = [concept.push(prediction, uncond) for concept, prediction in zip(self.concepts, told, strict=True)]
        warm = [concept.warm(step) for concept in self.concepts]
        moved = self._with_momentum(step, weighted(edits, shares))
        if all(warm):
            return guided + moved
        early = [share if ready else 0.0 for share, ready in zip(shares, warm, strict=True)]
        return guided + weighted(edits, [share / sum(early) for share in early]) if sum(early) else guided

    def _with_momentum(self, step: Step, edit: Tensor) -> Tensor:
        before = step.memory.get(self.type)
        moved = edit if before is None else edit + self.momentum_scale * before
        if step.call == 0:
            fresh = (1 - self.momentum_beta) * moved
            step.memory[self.type] = fresh if before is None else self.momentum_beta * before + fresh
        return moved


def weighted(edits: list[Tensor], shares: list[float]) -> Tensor:
    """sum_k share_k edit_k."""
    total = shares[0] * edits[0]
    for share, edit in zip(shares[1:], edits[1:], strict=True):
        total = total + share * edit
    return total
