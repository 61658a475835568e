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


def test_a_wait_is_held_against_its_goal_by_its_longest() -> None:
    waits = [1.0] * 98 + [9.0, 9.0]
    assert not Figure("wait", waits, goal=Goal(2, at_most=True), quantile=0.99).met
    assert Figure("wait", waits, goal=Goal(2, at_most=True)).met
    assert Figure("wait", waits, quantile=0.99).statistic == "p99"


def test_the_interval_holds_the_median_and_narrows_with_more_values() -> None:
    few, many = (Figure("noisy", [1.0, 2.0, 3.0, 4.0, 5.0] * times) for times in (2, 40))
    assert few.interval and many.interval
    assert few.interval[0] <= many.interval[0] <= 3 <= many.interval[1] <= few.interval[1]
    assert many.interval != few.interval
    assert Figure("three", [1, 2, 3]).interval is None


def test_less_is_better_where_the_goal_is_a_most() -> None:
    assert Figure("wait", [1], goal=Goal(2, at_most=True)).less_is_better
    assert not Figure("speed", [1], goal=Goal(2)).less_is_better
    assert Figure("wait", [1], less=True).less_is_better


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
