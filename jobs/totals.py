"""Totals of the whole service since its beginning: numbers in one Redis hash, counted where a generation ends.

A label is part of a total's name: `error:out_of_memory`, `run_seconds:shapes:le:5.0`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import accumulate

SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600)
"""Upper bounds of the buckets that waits and runs are counted in."""

_BOUNDS = (*(str(float(bound)) for bound in SECONDS), "+Inf")


def observed(name: str, label: str, seconds: float) -> dict[str, float]:
    """What one observation adds to the totals."""
    seconds = max(0.0, seconds)
    return {f"{name}:{label}:le:{_BOUNDS[bisect_left(SECONDS, seconds)]}": 1, f"{name}:{label}:sum": seconds}


def histogram(name: str, totals: Mapping[str, float]) -> Iterator[tuple[str, list[tuple[str, float]], float]]:
    """Each label with its cumulative buckets, (upper bound, count), and the sum over its observations."""
    for label, total in labelled(name, totals):
        if not label.endswith(":sum"):
            continue
        label = label.removesuffix(":sum")
        counts = accumulate(totals.get(f"{name}:{label}:le:{bound}", 0) for bound in _BOUNDS)
        yield label, list(zip(_BOUNDS, counts, strict=True)), total


def labelled(name: str, totals: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """The totals of this name by what follows it."""
    for key, total in totals.items():
        kind, found, label = key.partition(":")
        if kind == name and found:
            yield label, total
