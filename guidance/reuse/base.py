"""What every way of reusing evaluations is."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from guidance.prediction import Prediction
from guidance.protocol import Guide, Step
from guidance.stage import Space, Stage


class Reuse(Stage):
    """Leaves out evaluations of the unconditional branch that earlier steps make up for."""

    combiners: ClassVar[frozenset[str] | None] = None
    """The combiners it is defined for; None for all."""
    space: ClassVar[Space] = "output"
    """In which `guide` speaks."""
    data_dependent: ClassVar[bool] = False
    """Whether it decides on the way: then the planned number of evaluations is the most there can be."""

    @abstractmethod
    def skips(self, index: int, count: int) -> bool:
        """Whether step `index` of `count` is made up for, once a step was evaluated in full."""

    @abstractmethod
    def guide(self, step: Step) -> Guide | None:
        """What stands for the combiner at this step; None for the combiner itself."""

    @abstractmethod
    def observe(self, seen: dict[str, Prediction], step: Step) -> None:
        """Look at the step's predictions, by branch name."""
