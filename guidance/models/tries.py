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
"""After how many of a kind one that is not the fastest is tried again: the machine may have got other work, or lost it."""
RARELY = 1280
"""The same in the end, after twice as many each time that this was in vain."""
SHARE = 0.3
"""Of the latest time in what is taken for a way's time."""


@dataclass
class _Known(Generic[Way]):
    """Of one kind of work: how often it was done, by way how often and how fast, and when to try another."""

    done: int = 0
    times: dict[Way, int] = field(default_factory=dict)
    seconds: dict[Way, float] = field(default_factory=dict)
    pause: int = AGAIN
    next_try: int = AGAIN

    def fastest(self) -> Way:
        return min(self.seconds, key=lambda way: self.seconds[way])


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
        fastest = known.fastest()
        others = [way for way in self.ways if way != fastest]
        return min(others, key=lambda way: known.times[way]) if others and known.done >= known.next_try else fastest

    def took(self, kind: Hashable, way: Way, seconds: float) -> None:
        """How long it took; the first time of each way, which warms up, is forgotten at the second."""
        known = self._known[kind]
        known.done += 1
        times = known.times.get(way, 0)
        known.times[way] = times + 1
        if times < FIRST:
            known.seconds[way] = seconds if times < 2 else _mean(known.seconds[way], seconds)
        elif way == known.fastest():
            known.seconds[way] = _mean(known.seconds[way], seconds)
        else:  # it was tried again
            known.seconds[way] = seconds
            known.pause = AGAIN if way == known.fastest() else min(RARELY, 2 * known.pause)
            known.next_try = known.done + known.pause


def _mean(before: float, latest: float) -> float:
    return (1 - SHARE) * before + SHARE * latest
