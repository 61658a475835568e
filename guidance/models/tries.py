"""Which of several ways to the same bits is the fastest, found on the way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Way = TypeVar("Way", bound=Hashable)

FIRST = 3
"""How often each way is taken at first."""
AGAIN = 40
"""How often one that is not the fastest is tried again: the machine may have got other work, or lost it."""
SHARE = 0.3
"""Of the latest time in what is taken for a way's time."""


@dataclass
class _Known(Generic[Way]):
    """Of one kind of work: how often it was done, and by way how often and how fast."""

    done: int = 0
    times: dict[Way, int] = field(default_factory=dict)
    seconds: dict[Way, float] = field(default_factory=dict)


class Tries(Generic[Way]):
    """Among `ways`, by kind of work. For one thread."""

    def __init__(self, ways: Sequence[Way]) -> None:
        self.ways = ways
        self._known: defaultdict[Hashable, _Known[Way]] = defaultdict(_Known)

    def next(self, kind: Hashable) -> Way:
        """The way to take now."""
        known = self._known[kind]
        least = min(self.ways, key=lambda way: known.times.get(way, 0))
        if known.times.get(least, 0) < FIRST:
            return least
        fastest = min(self.ways, key=lambda way: known.seconds[way])
        if known.done % AGAIN == 0:
            others = [way for way in self.ways if way != fastest]
            return others[known.done // AGAIN % len(others)] if others else fastest
        return fastest

    def took(self, kind: Hashable, way: Way, seconds: float) -> None:
        """How long it took; the first time of each way, which warms up, is forgotten at the second."""
        known = self._known[kind]
        known.done += 1
        times = known.times.get(way, 0)
        known.times[way] = times + 1
        known.seconds[way] = seconds if times < 2 else (1 - SHARE) * known.seconds[way] + SHARE * seconds
