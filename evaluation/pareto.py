"""Pareto fronts: the points that no other beats in both of two metrics."""

from __future__ import annotations

from collections.abc import Sequence

Pair = tuple[float, float]


def front(points: Sequence[Pair], signs: tuple[int, int]) -> list[Pair]:
    """Those that no other is better than in one number and as good in the other, by the first.

    A sign of 1 says that more is better, -1 that less is.
    """
    left = {point for point in points if not any(_beats(other, point, signs) for other in points)}
    return sorted(left)


def _beats(one: Pair, other: Pair, signs: tuple[int, int]) -> bool:
    gains = [sign * (a - b) for a, b, sign in zip(one, other, signs, strict=True)]
    return min(gains) >= 0 < max(gains)
