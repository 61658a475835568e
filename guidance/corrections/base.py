"""What every correction is."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from guidance.prediction import Prediction
from guidance.protocol import Step
from guidance.stage import Stage


class Correction(Stage):
    """What happens to the guided prediction before the solver sees it. Costs no evaluation of its own."""

    needs: ClassVar[frozenset[str]] = frozenset()
    """Branches it reads beside the guided prediction; they are evaluated even where the combiner could do without."""
    normalises: ClassVar[bool] = False
    """Whether it sets the magnitude of the prediction; two that do contradict each other."""

    pushes_without_signal: ClassVar[bool] = False
    """Whether it acts even where the conditional and the unconditional prediction are equal."""

    @abstractmethod
    def correct(self, guided: Prediction, seen: dict[str, Prediction], step: Step) -> Prediction:
        """The corrected prediction. `seen` holds the step's branch predictions by name."""
