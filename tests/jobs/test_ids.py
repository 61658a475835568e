"""Ids sort by time."""

from __future__ import annotations

import time
from uuid import UUID

from hypothesis import given
from hypothesis.strategies import text

from jobs.ids import is_id, least_id, new_id


def test_later_ids_are_greater() -> None:
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(set(ids))


def test_ids_are_version_7() -> None:
    assert UUID(new_id()).version == 7
    assert is_id(new_id())


@given(text())
def test_nothing_else_is_an_id(word: str) -> None:
    assert not is_id(word)


def test_the_least_id_of_a_time_parts_earlier_from_later() -> None:
    before = time.time()
    id = new_id()
    assert least_id(before - 0.001) <= id < least_id(time.time() + 0.001)
    assert least_id(-1) == "00000000-0000"
