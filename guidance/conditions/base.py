"""What every condition transform is."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from guidance.protocol import Step
from guidance.stage import Stage


class ConditionTransform(Stage):
    """What happens to the condition before the network sees it. Looks at no prediction."""

    requires: ClassVar[frozenset[str]] = frozenset({"condition_embedding"})

    @abstractmethod
    def apply(self, step: Step) -> Step:
        """The step with its conditions transformed; the step itself where there is nothing to do."""
