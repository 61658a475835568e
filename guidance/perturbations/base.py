"""What every perturbation is."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from pydantic import Field

from guidance.protocol import Guide, Step
from guidance.stage import Space
from guidance.window import Windowed


class Perturbation(Windowed):
    """A push away from a weakened prediction: scale (c - p) is added to the guided one, so 0 is off.

    It is independent of the combiner: it acts where guidance is off too, and several add up.
    """

    space: ClassVar[Space] = "output"
    """In which `push` speaks."""

    scale: float = Field(3.0, ge=-100, le=100, description="0 is off; some codes count from 1 there")

    def active(self, index: int, count: int) -> bool:
        return self.scale != 0 and super().active(index, count)

    @property
    def branches(self) -> frozenset[str]:
        """Names of the branches that `push` will ask for."""
        return frozenset({"cond", self.type_name()})

    def prepare(self, step: Step) -> Step:
        """The step as every stage will see it: a place to ask more of its branches than their predictions."""
        return step

    @abstractmethod
    def push(self, step: Step) -> Guide:
        """Yield branches, be sent their predictions in `space`, return what is added to the guided one there."""
