"""Perturbations that weaken chosen attention layers: what PAG, SEG and skip-layer guidance have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from guidance.attention import Edit
from guidance.perturbations.base import Perturbation
from guidance.protocol import Branch, Guide, Step

Layer = Annotated[str, StringConstraints(pattern=r"^(down|mid|up)(\.\d+){0,2}$")]


class Layered(Perturbation):
    """Weakens the layers that `layers` name: `mid`, `up.1`, `down.0.1`; a name stands for all that it begins."""

    requires: ClassVar[frozenset[str]] = frozenset({"attention"})

    layers: tuple[Layer, ...] = Field(("mid",), min_length=1, max_length=32, description="see the model's layers")

    @abstractmethod
    def edit(self) -> Edit:
        """What is asked of those layers."""

    def weakened(self, step: Step) -> Branch:
        """The conditional branch of `step`, weakened; named like the method."""
        return step.cond.another(self.type_name()).edited(self.edit())

    def push(self, step: Step) -> Guide:
        cond, weak = yield [step.cond, self.weakened(step)]
        return self.scale * (cond - weak)
