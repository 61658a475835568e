"""Comparisons in Redis: written with their generations or not at all, and kept as long as these."""

from __future__ import annotations

import pytest
import redis

from jobs import keys
from jobs.comparison import Axis, Comparison, ComparisonStatus
from jobs.comparison_store import ComparisonStore
from jobs.ids import new_id
from jobs.order import Once, Order, QueueFull, Repeated, Terms, TooManyActive
from jobs.record import Load, Status
from jobs.settings import Settings
from jobs.store import JobStore
from tests.jobs.requests import a_request

LABELS = ["a", "b", "c"]


@pytest.fixture
def comparisons(store: JobStore) -> ComparisonStore:
    return ComparisonStore(store)


def create(comparisons: ComparisonStore, count: int = 3, terms: Terms | None = None) -> Comparison:
    orders = [Order(a_request(), 4)] * count
    return comparisons.create(orders, [f"spec {index}" for index in range(count)], terms=terms or Terms())


def again(comparisons: ComparisonStore, comparison: Comparison) -> Comparison:
    found = comparisons.get(comparison.id)
    assert found is not None
    return found


def end(store: JobStore, id: str, status: str) -> None:
    attempt = store.start(id, "worker")
    assert attempt and store.finish(id, attempt.token, Status(status))


def test_it_holds_its_generations_in_the_order_of_its_labels(comparisons: ComparisonStore, store: JobStore) -> None:
    axes = [Axis(pointer="/sampler/steps", name="steps", values=("2", "3"))]
    orders = [Order(a_request(seed=seed), 4) for seed in range(3)]
    created = comparisons.create(orders, LABELS, axes, Terms(tenant="t"))
    assert comparisons.get(created.id) == created
    assert (created.labels, created.axes, created.tenant) == (("a", "b", "c"), tuple(axes), "t")
    assert [record.request.seed for record in created.records] == [0, 1, 2]
    assert {record.tenant for record in created.records} == {"t"}
    assert store.load() == Load(3, 12)


def test_too_many_for_the_queue_are_none_at_all(settings: Settings, connection: redis.Redis) -> None:
    store = JobStore(connection, settings.model_copy(update={"max_queue": 20}))
    with pytest.raises(QueueFull):
        create(ComparisonStore(store), 21)
    assert connection.keys("guidepost:*") == []
    create(ComparisonStore(store), 20)
    with pytest.raises(QueueFull):
        create(ComparisonStore(store), 1)
    assert store.load().generations == 20
    assert connection.zcard(keys.comparisons("")) == 1


def test_too_many_for_the_tenant_are_none_at_all(comparisons: ComparisonStore, connection: redis.Redis) -> None:
    with pytest.raises(TooManyActive):
        create(comparisons, 3, Terms(tenant="t", max_active=2))
    assert connection.keys("guidepost:*") == []


def test_a_repeated_key_finds_the_comparison(comparisons: ComparisonStore, store: JobStore) -> None:
    terms = Terms(once=Once.of("key", "body"))
    created = create(comparisons, terms=terms)
    with pytest.raises(Repeated) as repeated:
        create(comparisons, terms=terms)
    assert repeated.value.resource == created.id
    assert store.load().generations == 3


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        (["succeeded", "succeeded", "succeeded"], "succeeded"),
        (["succeeded", "failed", "canceled"], "partial"),
        (["canceled", "failed", "canceled"], "failed"),
        (["canceled", "canceled", "canceled"], "canceled"),
        (["succeeded", "failed"], "running"),
    ],
)
def test_its_status_is_what_theirs_come_to(
    comparisons: ComparisonStore, store: JobStore, ends: list[str], status: str
) -> None:
    created = create(comparisons)
    assert created.status == ComparisonStatus.QUEUED
    for record, how in zip(created.records, ends, strict=False):
        end(store, record.id, how)
    found = again(comparisons, created)
    assert found.status == status
    assert found.terminal == (len(ends) == 3)
    assert (found.finished_at is not None) == (found.expires_at is not None) == found.terminal
    assert found.version != created.version


def test_it_is_kept_as_long_as_the_last_that_ended(comparisons: ComparisonStore, store: JobStore) -> None:
    created = create(comparisons)
    ids = [record.id for record in created.records]
    assert store.redis.ttl(keys.comparison(created.id)) == -1
    end(store, ids[0], "succeeded")
    store.redis.expire(keys.comparison(created.id), 5)
    end(store, ids[1], "failed")
    assert store.redis.ttl(keys.comparison(created.id)) > 5
    store.redis.delete(keys.generation(ids[0]))
    assert comparisons.get(created.id) is None


def test_cancel_ends_all_that_has_not_ended(comparisons: ComparisonStore, store: JobStore) -> None:
    created = create(comparisons)
    end(store, created.records[0].id, "succeeded")
    assert store.start(created.records[1].id, "worker")
    comparisons.cancel(created)
    found = again(comparisons, created)
    assert [record.status for record in found.records] == ["succeeded", "running", "canceled"]
    assert found.records[1].cancel_requested == "user"


def test_pages_are_newest_first_and_a_tenants_own(comparisons: ComparisonStore) -> None:
    made = [create(comparisons, 2, Terms(tenant="t")).id for _ in range(5)]
    create(comparisons, 1, Terms(tenant="other"))
    first = comparisons.page(2, tenant="t")
    second = comparisons.page(2, first.next_cursor, "t")
    third = comparisons.page(2, second.next_cursor, "t")
    found = [comparison.id for page in (first, second, third) for comparison in page.comparisons]
    assert found == made[::-1]
    assert third.next_cursor is None


def test_there_is_none_under_another_id(comparisons: ComparisonStore) -> None:
    created = create(comparisons)
    for id in (new_id(), "*", created.records[0].id):
        assert comparisons.get(id) is None
