"""Who waits, as the metrics tell it."""

from __future__ import annotations

from jobs.ids import made_at
from jobs.store import JobStore
from jobs.waiting import oldest, waiting
from tests.jobs.requests import a_request


def test_those_who_wait_are_counted_by_models_and_priority(store: JobStore) -> None:
    assert waiting(store.redis) == {}
    for priority in ("low", "high", "low"):
        store.create(a_request(priority=priority))
    assert waiting(store.redis) == {("shapes", "high"): 1, ("shapes", "normal"): 0, ("shapes", "low"): 2}


def test_the_oldest_is_found_whatever_its_priority(store: JobStore) -> None:
    assert oldest(store.redis) is None
    first = store.create(a_request(priority="low"))
    store.create(a_request(priority="high"))
    assert oldest(store.redis) == made_at(first.id) <= first.created_at
