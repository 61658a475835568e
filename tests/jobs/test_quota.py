"""The quota of a tenant: counted with what it is spent on, in one step."""

from __future__ import annotations

import pytest

from jobs import keys
from jobs.ids import new_id
from jobs.order import Once, Order, QuotaExceeded, Repeated, Terms
from jobs.record import Status
from jobs.store import JobStore
from tests.jobs.requests import a_request

DAY = 86_400
MINE = Terms(tenant="a", quota=10)


def spent(store: JobStore, tenant: str = "a") -> int:
    found = store.redis.get(keys.quota(tenant))
    assert found is None or isinstance(found, bytes)
    return int(found or 0)


def test_what_fits_is_counted_and_what_does_not_is_declined(store: JobStore) -> None:
    store.create(a_request(), 6, MINE)
    with pytest.raises(QuotaExceeded) as declined:
        store.create(a_request(), 5, MINE)
    assert declined.value.spent == spent(store) == 6
    store.create(a_request(), 4, MINE)
    assert spent(store) == 10
    assert store.counts()[Status.QUEUED] == 2


def test_it_renews_at_midnight_and_says_in_how_many_seconds(store: JobStore) -> None:
    store.create(a_request(), 10, MINE)
    before, _ = store.redis.time()
    renews = (before // DAY + 1) * DAY
    assert renews - before - 1 <= store.redis.ttl(keys.quota("a")) <= renews - before
    with pytest.raises(QuotaExceeded) as declined:
        store.create(a_request(), 1, MINE)
    after, _ = store.redis.time()
    assert renews - after - 1 <= declined.value.seconds <= renews - before


def test_several_at_once_count_together_or_not_at_all(store: JobStore) -> None:
    with pytest.raises(QuotaExceeded):
        store.create_all([Order(a_request(), 4)] * 3, MINE)
    assert (spent(store), store.counts()[Status.QUEUED]) == (0, 0)
    store.create_all([Order(a_request(), 5)] * 2, MINE)
    assert spent(store) == 10


def test_tenants_have_quotas_of_their_own_and_none_without_one(store: JobStore) -> None:
    store.create(a_request(), 10, MINE)
    store.create(a_request(), 10, Terms(tenant="b", quota=10))
    store.create(a_request(), 10, Terms(tenant="c"))
    assert [spent(store, tenant) for tenant in "abc"] == [10, 10, 0]


def test_a_repeated_idempotency_key_spends_nothing(store: JobStore) -> None:
    terms = Terms(tenant="a", quota=10, once=Once.of("key", "body"))
    store.create(a_request(), 10, terms)
    with pytest.raises(Repeated):
        store.create(a_request(), 10, terms)
    assert spent(store) == 10


def test_a_create_that_arrives_twice_counts_once(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """redis-py sends again what it got no answer to."""
    id = new_id()
    monkeypatch.setattr("jobs.store.new_id", lambda: id)
    terms = Terms(tenant="a", quota=10, max_active=1)
    first, second = (store.create(a_request(), 10, terms) for _ in range(2))
    assert (first, spent(store), store.counts()[Status.QUEUED]) == (second, 10, 1)
