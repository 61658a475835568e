"""Medians, spreads, goals and own times."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from benchmarks.figure import Figure, Goal, ratios
from benchmarks.stopwatch import Stopwatch


def test_the_median_is_held_against_the_goal() -> None:
    assert Figure("fast", [1, 2, 9], goal=Goal(2)).met
    assert not Figure("slow", [1, 1.9, 9], goal=Goal(2)).met
    assert Figure("short", [10, 30, 99], "ms", Goal(30, at_most=True)).met
    assert Figure("free", [1]).met is None


def test_the_quartiles_hold_the_middle_half() -> None:
    assert Figure("five", [5, 1, 2, 4, 3]).quartiles == (2, 4)
    assert Figure("one", [7]).quartiles == (7, 7)


def test_ratios_pair_what_was_measured_in_turn() -> None:
    assert ratios([2, 9], [1, 3]) == [2, 3]
    with pytest.raises(ValueError):
        ratios([1, 2], [1])


def test_the_stopwatch_takes_watched_callees_out_of_their_callers() -> None:
    part = SimpleNamespace(inner=lambda: time.sleep(0.02))

    def outside() -> None:
        time.sleep(0.01)
        part.inner()

    part.outer = outside
    watch = Stopwatch()
    with watch.watching([("outer", part, "outer"), ("inner", part, "inner")]):
        part.outer()
        part.outer()
    assert part.outer is outside
    assert watch.calls == {"outer": 2, "inner": 2}
    assert watch.seconds["inner"] >= 0.04
    assert watch.seconds["outer"] >= 0.02


def test_the_stopwatch_leaves_classes_and_instances_as_they_were() -> None:
    class Part:
        def work(self) -> int:
            return 1

    part, method = Part(), Part.work
    watch = Stopwatch()
    with watch.watching([("all", Part, "work"), ("this", part, "work")]):
        assert part.work() == 1
    assert Part.work is method and not vars(part)
    assert watch.calls == {"all": 1, "this": 1}
