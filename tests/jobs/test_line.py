"""Who waits, in which order, and who may claim whom."""

from __future__ import annotations

from itertools import combinations

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers, lists, sampled_from, tuples

from jobs import keys, queue
from jobs.attempt import Attempt
from jobs.leases import Leases
from jobs.order import PRIORITIES, Once, Order, QueueFull, Repeated, Terms, TooManyActive
from jobs.record import Load, Status
from jobs.settings import Settings
from jobs.store import JobStore
from tests.jobs.requests import a_request

MODELS = ["shapes"]


def claimed(store: JobStore, *models: str) -> list[str]:
    """Ids in the order in which a worker with these models claims them."""
    found = []
    while isinstance(attempt := store.claim("worker", models or MODELS), Attempt):
        found.append(attempt.id)
    return found


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(priorities=lists(sampled_from(PRIORITIES), max_size=12))
def test_who_waits_is_claimed_by_priority_then_by_age(store: JobStore, priorities: list[str]) -> None:
    store.redis.flushall()
    made = [(PRIORITIES.index(priority), store.create(a_request(priority=priority)).id) for priority in priorities]
    line = [id for _, id in sorted(made)]
    records = [store.get(id) for id in line]
    assert [record.position for record in records if record] == list(range(len(line)))
    assert claimed(store) == line


def of(store: JobStore, tenant: str, evaluations: int = 10, priority: str = "normal") -> str:
    return store.create(a_request(priority=priority), evaluations, Terms(tenant=tenant)).id


def test_tenants_take_turns_however_much_one_of_them_has_asked_for(store: JobStore) -> None:
    many = [of(store, "a") for _ in range(6)]
    few = [of(store, "b") for _ in range(2)]
    assert claimed(store) == [many[0], few[0], many[1], few[1], *many[2:]]


def test_turns_are_of_evaluations_not_of_requests(store: JobStore) -> None:
    large = [of(store, "a", 40) for _ in range(2)]
    small = [of(store, "b", 10) for _ in range(6)]
    assert claimed(store) == [large[0], *small[:4], large[1], *small[4:]]


def test_who_comes_late_has_no_claim_to_the_time_before(store: JobStore) -> None:
    first = [of(store, "a") for _ in range(8)]
    served = []
    for _ in range(4):
        attempt = store.claim("worker", MODELS)
        assert isinstance(attempt, Attempt)
        served.append(attempt.id)
    late = [of(store, "b") for _ in range(4)]
    assert served == first[:4]
    # Not all of b's before the rest of a's.
    assert claimed(store) == [late[0], first[4], late[1], first[5], late[2], first[6], late[3], first[7]]


def test_what_a_tenant_took_back_is_not_held_against_it(store: JobStore) -> None:
    for id in [of(store, "a") for _ in range(50)]:
        store.cancel(id)
    theirs = [of(store, "b") for _ in range(2)]
    mine = of(store, "a")
    assert claimed(store) == [theirs[0], mine, theirs[1]]
    assert store.redis.hlen(keys.TURNS) <= 1  # the clock; nobody who has nothing in line


def test_a_higher_priority_goes_before_anybodys_turn(store: JobStore) -> None:
    normal, low = [of(store, "a") for _ in range(2)], of(store, "b", priority="low")
    high = [of(store, "a", priority="high") for _ in range(2)]
    assert claimed(store) == [*high, *normal, low]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=lists(tuples(sampled_from("abc"), integers(1, 50)), min_size=1, max_size=24))
def test_while_two_tenants_wait_neither_gets_more_than_its_share_and_one_request(
    store: JobStore, asked: list[tuple[str, int]]
) -> None:
    """The bound of start-time fair queueing: shares differ by at most the largest request of each."""
    store.redis.flushall()
    made = {of(store, tenant, cost): (tenant, cost) for tenant, cost in asked}
    served = [made[id] for id in claimed(store)]
    assert sorted(served) == sorted(asked)
    for one, other in combinations("abc", 2):
        until = min(_last(served, one), _last(served, other))
        most = {name: max([cost for tenant, cost in asked if tenant == name], default=0) for name in (one, other)}
        got = {name: 0 for name in (one, other)}
        for tenant, cost in served[:until]:
            if tenant in got:
                got[tenant] += cost
            assert abs(got[one] - got[other]) <= most[one] + most[other]


def _last(served: list[tuple[str, int]], tenant: str) -> int:
    """Where the tenant's last request is in line; 0 where it has none."""
    return max((place for place, (whose, _) in enumerate(served) if whose == tenant), default=0)


def test_a_claim_is_an_attempt_at_the_request(store: JobStore) -> None:
    record = store.create(a_request())
    attempt = store.claim("worker", MODELS)
    assert isinstance(attempt, Attempt)
    assert (attempt.id, attempt.number, attempt.request) == (record.id, 1, record.request)
    assert store.finish(attempt.id, attempt.token, Status.SUCCEEDED)


def test_a_worker_claims_only_what_it_serves_and_learns_what_waits_for_others(store: JobStore) -> None:
    mine = store.create(a_request()).id
    theirs = store.create(a_request().model_copy(update={"model": "other", "priority": "high"})).id
    assert claimed(store, "shapes") == [mine]
    assert store.claim("worker", MODELS) == 1
    assert claimed(store, "shapes", "other") == [theirs]
    assert store.claim("worker", MODELS) == 0


def test_a_request_for_two_models_waits_for_a_worker_with_both(store: JobStore) -> None:
    weak = {"combiner": {"type": "autoguidance", "model": "weak"}}
    request = a_request().model_copy(update={"guidance": a_request().guidance.model_validate(weak)})
    id = store.create(request).id
    assert claimed(store, "shapes") == claimed(store, "weak") == []
    assert claimed(store, "weak", "shapes", "third") == [id]


def test_what_a_worker_cannot_read_fails_and_holds_nobody_up(store: JobStore) -> None:
    """A gateway of a later version accepted it."""
    unreadable, fine = store.create(a_request()).id, store.create(a_request()).id
    store.redis.hset(keys.generation(unreadable), "request", '{"a field of a later version": 1}')
    assert claimed(store) == [fine]
    assert store.redis.hmget(keys.generation(unreadable), "status", "status_reason") == [b"failed", b"unreadable"]


def test_what_was_canceled_is_not_claimed(store: JobStore) -> None:
    first, second = store.create(a_request()).id, store.create(a_request()).id
    store.cancel(first)
    assert claimed(store) == [second]


def test_a_record_that_was_removed_by_hand_holds_nobody_up(store: JobStore) -> None:
    gone, there = store.create(a_request()).id, store.create(a_request()).id
    store.redis.delete(keys.generation(gone))
    assert claimed(store) == [there]


def test_what_was_handed_back_is_first_of_its_priority_again(store: JobStore) -> None:
    first, second = store.create(a_request()).id, store.create(a_request()).id
    attempt = store.claim("worker", MODELS)
    assert isinstance(attempt, Attempt)
    assert store.hand_back(first, attempt.token)
    assert claimed(store) == [first, second]


def test_the_load_is_what_waits(store: JobStore) -> None:
    first, second = store.create(a_request(), 10).id, store.create(a_request(), 5).id
    assert store.load() == Load(2, 15)
    attempt = store.start(first, "worker")
    assert attempt is not None and store.load() == Load(1, 5)
    store.hand_back(first, attempt.token)
    assert store.load() == Load(2, 15)
    store.cancel(second)
    assert store.load() == Load(1, 10)
    store.cancel(first)
    assert store.load() == Load(0, 0)


def test_orders_are_accepted_together_or_not_at_all(connection: redis.Redis, settings: Settings) -> None:
    store = JobStore(connection, settings.model_copy(update={"max_queue": 5}))
    assert len(store.create_all([Order(a_request(), 2)] * 3)) == 3
    with pytest.raises(QueueFull) as full:
        store.create_all([Order(a_request(), 2)] * 3)
    assert (full.value.generations, full.value.evaluations) == (3, 6)
    assert store.counts()[Status.QUEUED] == queue.queue(connection).count == 3  # no bell for what is refused
    assert len(connection.keys(f"{keys.GENERATION}:*")) == 3


def test_evaluations_that_wait_are_bounded_but_one_request_always_fits(
    connection: redis.Redis, settings: Settings
) -> None:
    store = JobStore(connection, settings.model_copy(update={"max_queue_evaluations": 10}))
    store.create(a_request(), 50)
    with pytest.raises(QueueFull):
        store.create(a_request(), 1)


def test_a_tenant_has_no_more_under_way_than_its_terms_allow(store: JobStore) -> None:
    terms = Terms(tenant="a", max_active=2)
    first = store.create(a_request(), terms=terms).id
    store.create(a_request(), terms=terms)
    with pytest.raises(TooManyActive):
        store.create(a_request(), terms=terms)
    store.create(a_request(), terms=Terms(tenant="b", max_active=2))
    store.cancel(first)
    store.create(a_request(), terms=terms)


def test_pages_are_of_one_tenant(store: JobStore) -> None:
    mine = store.create(a_request(), terms=Terms(tenant="a"))
    theirs = store.create(a_request(), terms=Terms(tenant="b"))
    assert [record.id for record in store.page(tenant="a").records] == [mine.id]
    assert [record.id for record in store.page(tenant="b", status=Status.QUEUED).records] == [theirs.id]
    assert [record.id for record in store.page().records] == [theirs.id, mine.id]


def test_a_key_makes_one_generation(store: JobStore) -> None:
    terms = Terms(tenant="a", once=Once.of("key", "body"))
    assert store.repeated(terms) is None
    record = store.create(a_request(), terms=terms)
    with pytest.raises(Repeated) as repeated:
        store.create(a_request(), terms=Terms(tenant="a", once=Once.of("key", "other body")))
    assert repeated.value.resource == record.id
    assert repeated.value.fingerprint == Once.of("key", "body").fingerprint
    assert store.counts()[Status.QUEUED] == 1
    assert 0 < store.redis.ttl(keys.once("a", "key")) <= store.settings.idempotency_seconds
    other = store.create(a_request(), terms=Terms(tenant="b", once=Once.of("key", "body")))
    assert other.id != record.id


def test_a_deadline_that_passed_expires_who_waits_when_it_is_claimed(store: JobStore) -> None:
    late = store.create(a_request(), terms=Terms(cancel_after=1e-6)).id
    fine = store.create(a_request(), terms=Terms(cancel_after=3600)).id
    assert claimed(store) == [fine]
    record = store.get(late)
    assert record is not None
    assert (record.status, record.status_reason) == (Status.EXPIRED, "deadline")


def test_a_short_one_is_claimed_before_who_waits_longer_only_where_short_ones_are_asked_for(store: JobStore) -> None:
    bound = store.settings.express_evaluations
    long, short, later = of(store, "a", bound + 1), of(store, "a", bound), of(store, "a", 1)
    taken = store.claim("worker", MODELS, express=True)
    assert isinstance(taken, Attempt) and taken.id == short
    assert claimed(store) == [long, later]


def test_no_long_one_is_claimed_as_a_short_one(store: JobStore) -> None:
    of(store, "a", store.settings.express_evaluations + 1)
    assert store.claim("worker", MODELS, express=True) == 0
    assert Leases(store.redis, store.settings).attend({}, serves=MODELS).short_waits is False


def test_whoever_serves_its_model_is_told_that_a_short_one_waits_until_it_waits_no_more(store: JobStore) -> None:
    id, leases = of(store, "a", 1), Leases(store.redis, store.settings)
    assert leases.attend({}, serves=MODELS).short_waits
    assert not leases.attend({}, serves=["another"]).short_waits
    store.cancel(id)
    assert not leases.attend({}, serves=MODELS).short_waits


def test_who_overtakes_does_not_move_the_clock_of_the_turns(store: JobStore) -> None:
    """Else a tenant that comes now would have to wait for all that the overtaken one's tenant has asked for."""
    many = [of(store, "a", 100) for _ in range(5)]
    of(store, "a", 1)
    assert isinstance(store.claim("worker", MODELS, express=True), Attempt)
    new = of(store, "b", 100)
    assert claimed(store)[:2] == [many[0], new]
