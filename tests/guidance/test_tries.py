"""The fastest of several ways, found on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from guidance.models.tries import AGAIN, FIRST, RARELY, Tries


def taken(tries: Tries[str], seconds: Mapping[str, float], times: int, kind: str = "rows") -> Counter[str]:
    """How often each way was taken, each taking so long."""
    found: Counter[str] = Counter()
    for _ in range(times):
        way = tries.next(kind)
        tries.took(kind, way, seconds[way])
        found[way] += 1
    return found


def test_every_way_is_tried_and_then_the_fastest_is_taken() -> None:
    tries = Tries(["a", "b", "c"])
    assert taken(tries, {"a": 3, "b": 1, "c": 2}, 3 * FIRST) == {"a": FIRST, "b": FIRST, "c": FIRST}
    assert taken(tries, {"a": 3, "b": 1, "c": 2}, 20) == {"b": 20}


def test_the_others_are_tried_again_ever_more_rarely() -> None:
    tries, slow = Tries(["a", "b"]), {"a": 1.0, "b": 2.0}
    assert taken(tries, slow, AGAIN)["b"] == FIRST
    found = [taken(tries, slow, 2**k * AGAIN)["b"] for k in range(1, 6)]
    assert found == [1] * 5
    assert taken(tries, slow, 10 * RARELY)["b"] in (10, 11)


def test_what_has_become_faster_is_taken_from_its_next_try_on() -> None:
    tries = Tries(["a", "b"])
    taken(tries, {"a": 1, "b": 2}, AGAIN)
    assert taken(tries, {"a": 1, "b": 0.5}, AGAIN) == {"b": AGAIN}


def test_what_has_become_slower_is_left() -> None:
    tries = Tries(["a", "b"])
    taken(tries, {"a": 1, "b": 2}, 2 * FIRST)
    taken(tries, {"a": 4, "b": 2}, FIRST)
    assert taken(tries, {"a": 4, "b": 2}, AGAIN // 2) == {"b": AGAIN // 2}


def test_kinds_of_work_are_told_apart() -> None:
    tries = Tries(["a", "b"])
    taken(tries, {"a": 1, "b": 2}, 2 * FIRST, "small")
    taken(tries, {"a": 2, "b": 1}, 2 * FIRST, "large")
    assert (tries.next("small"), tries.next("large")) == ("a", "b")


def test_the_first_time_which_warms_up_does_not_count() -> None:
    tries = Tries(["a", "b"])
    for seconds in ({"a": 100, "b": 2}, {"a": 100, "b": 2}, {"a": 1, "b": 2}, {"a": 1, "b": 2}, {"a": 1, "b": 2}):
        taken(tries, seconds, 1)
    assert taken(tries, {"a": 1, "b": 2}, 5)["a"] >= 4
