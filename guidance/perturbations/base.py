"""What every perturbation is."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Self

from pydantic import Field, model_validator

from guidance.protocol import Guide, Step
from guidance.stage import Space, Stage


class Perturbation(Stage):
    """A push away from a weakened prediction: scale (c - p) is added to the guided one, so 0 is off.

    It is independent of the combiner: it acts where guidance is off too, and several add up.
    """

    space: ClassVar[Space] = "output"
    """In which `push` speaks."""

    scale: float = Field(3.0, ge=-100, le=100, description="0 is off; some codes count from 1 there")
    start: float = Field(0.0, ge=0, le=1, description="share of the steps after which it begins")
    stop: float = Field(1.0, ge=0, le=1, description="share of the steps after which it ends")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.stop:
            raise ValueError(f"start = {self.start} must be below stop = {self.stop}")
        return self

    def active(self, index: int, count: int) -> bool:
        """Whether it acts at step `index` of `count`."""
        return self.scale != 0 and self.start * count <= index < self.stop * count

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
