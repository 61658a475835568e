"""Deliveries in Redis: noted with the end of a generation, claimed by one, never lost."""

from __future__ import annotations

from typing import cast

import pytest

from jobs import keys
from jobs.deliveries import LONGEST_RETRY_AFTER, SCHEDULE, Claim, Deliveries, Outcome
from jobs.record import Status
from jobs.store import JobStore
from jobs.webhook import Delivery
from tests.jobs.requests import a_request

pytestmark = pytest.mark.redis

HOOK = {"webhook": {"url": "https://receiver.example/hook"}}
REFUSAL = Outcome("http_status", 500)


@pytest.fixture
def deliveries(store: JobStore) -> Deliveries:
    return Deliveries(store.redis)


def ended(store: JobStore, url: str = "https://receiver.example/hook") -> str:
    id = store.create(a_request(webhook={"url": url})).id
    store.cancel(id)
    return id


def make_due(store: JobStore, id: str) -> None:
    assert store.redis.zadd(keys.DELIVERIES, {id: 0}, xx=True, ch=True)


def claimed(deliveries: Deliveries, *busy: str) -> str | None:
    claim = deliveries.claim(busy)
    return claim.id if claim else None


def delivery(store: JobStore, id: str) -> Delivery:
    record = store.get(id)
    assert record is not None and record.delivery is not None
    return record.delivery


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELED])
def test_every_end_of_a_run_makes_its_webhook_due(store: JobStore, deliveries: Deliveries, status: Status) -> None:
    id = store.create(a_request(**HOOK)).id
    attempt = store.start(id, "worker")
    assert attempt is not None and claimed(deliveries) is None
    store.finish(id, attempt.token, status)
    store.finish(id, attempt.token, status)  # the report came twice
    assert (claimed(deliveries), claimed(deliveries)) == (id, None)


def test_canceled_and_expired_while_it_waited_too(store: JobStore, deliveries: Deliveries) -> None:
    canceled, expired = (store.create(a_request(**HOOK)).id for _ in range(2))
    store.cancel(canceled)
    store.redis.hset(keys.generation(expired), "deadline_at", "1")
    store.expire(expired)
    assert {claimed(deliveries), claimed(deliveries)} == {canceled, expired}


def test_who_asked_for_none_makes_none_due(store: JobStore, deliveries: Deliveries) -> None:
    record = store.create(a_request())
    store.cancel(record.id)
    assert record.delivery is None
    assert claimed(deliveries) is None


def test_one_that_is_claimed_is_found_again_when_nobody_settles_it(store: JobStore, deliveries: Deliveries) -> None:
    id = ended(store)
    assert (claimed(deliveries), claimed(deliveries)) == (id, None)
    make_due(store, id)  # the claim is over
    assert claimed(deliveries) == id


def test_receivers_that_are_busy_are_passed_over(store: JobStore, deliveries: Deliveries) -> None:
    first, second = ended(store), ended(store, "https://other.example:8443/hook")
    assert claimed(deliveries, "receiver.example", "other.example:8443") is None
    assert claimed(deliveries, "receiver.example") == second
    assert deliveries.claim(["other.example:8443"]) == Claim(first, "receiver.example")


def test_a_backlog_of_busy_receivers_hides_nobody(
    store: JobStore, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.deliveries.LOOK", 3)
    for _ in range(5):
        ended(store)
    other = ended(store, "https://other.example/hook")
    assert claimed(deliveries, "receiver.example") is None
    assert claimed(deliveries, "receiver.example") == other
    assert store.redis.zcard(keys.DELIVERIES) == 6


def test_retries_follow_the_schedule_until_it_is_given_up(store: JobStore, deliveries: Deliveries) -> None:
    id = ended(store)
    waits = []
    while (now := delivery(store, id)).state == "pending":
        make_due(store, id)
        assert claimed(deliveries) == id
        settled = deliveries.settle(id, now, REFUSAL)
        assert settled == delivery(store, id) and settled.last_attempt_at is not None
        if settled.next_attempt_at:
            waits.append((settled.next_attempt_at - settled.last_attempt_at).total_seconds())
    assert (now.state, now.attempts, now.last_status, now.last_error) == ("failed", 10, 500, "http_status")
    assert all(0.8 * wanted <= wait <= 1.2 * wanted for wait, wanted in zip(waits, SCHEDULE, strict=True))
    assert waits == sorted(waits)
    assert 0.9 * 7200 < sum(SCHEDULE) < 1.1 * 7200
    assert store.redis.zcard(keys.DELIVERIES) == 0
    assert store.counters()["webhook:retried"] == 9
    assert store.counters()["webhook:failed"] == 1


@pytest.mark.parametrize(("asked", "granted"), [(1.0, 5.0), (120.0, 120.0), (1e9, LONGEST_RETRY_AFTER)])
def test_a_receiver_may_ask_for_more_time_within_bounds(
    store: JobStore, deliveries: Deliveries, asked: float, granted: float
) -> None:
    id = ended(store)
    settled = deliveries.settle(id, Delivery(), Outcome("http_status", 503, retry_after=asked))
    assert settled is not None and settled.next_attempt_at and settled.last_attempt_at
    wait = (settled.next_attempt_at - settled.last_attempt_at).total_seconds()
    assert wait == pytest.approx(granted, rel=0.21)


def test_it_is_not_due_before_its_time(store: JobStore, deliveries: Deliveries) -> None:
    id = ended(store)
    deliveries.settle(id, Delivery(), REFUSAL)
    assert claimed(deliveries) is None
    seconds, _ = store.redis.time()
    assert cast(float, store.redis.zscore(keys.DELIVERIES, id)) > seconds


def test_what_is_settled_stays_so_for_whoever_comes_late(store: JobStore, deliveries: Deliveries) -> None:
    id = ended(store)
    assert deliveries.settle(id, Delivery(), Outcome(status=200)) is not None
    assert deliveries.settle(id, Delivery(), REFUSAL) is None
    assert delivery(store, id).state == "delivered"
    assert (claimed(deliveries), store.counters().get("webhook:retried")) == (None, None)


def test_a_record_that_has_expired_is_not_brought_back(store: JobStore, deliveries: Deliveries) -> None:
    id = ended(store)
    store.redis.delete(keys.generation(id))
    deliveries.settle(id, Delivery(), REFUSAL)
    assert store.redis.exists(keys.generation(id)) == 0
