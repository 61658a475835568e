"""What every weight schedule is."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

from pydantic import Field

from guidance.stage import Stage

Weight = Annotated[float, Field(ge=-1000, le=1000)]
"""A guidance weight; 1 is the plain conditional model, 0 the unconditional one."""


class Schedule(Stage):
    """The guidance weight of each step, read where the step begins."""

    @abstractmethod
    def at(self, index: int, count: int, sigma: float) -> float | None:
        """The weight of step `index` of `count`, which begins at noise level `sigma` (sigma / alpha).

        None where guidance is off: the conditional prediction is used alone, whatever the combiner.
        """
