"""An attempt goes on as long as its worker says so; then somebody else has it."""

from __future__ import annotations

import pytest
import redis

from jobs import keys
from jobs.attempt import Attempt
from jobs.events import read_events
from jobs.leases import Leases
from jobs.record import Record, Status
from jobs.settings import Settings
from jobs.store import JobStore
from tests.jobs.requests import a_request

MODELS = ["shapes"]


@pytest.fixture
def leases(store: JobStore, settings: Settings) -> Leases:
    """Rounds have been going on."""
    found = Leases(store.redis, settings)
    found.reap()
    store.redis.hset(keys.ROUNDS, "patient_until", 0)
    return found


def claim(store: JobStore, worker: str = "worker") -> Attempt:
    attempt = store.claim(worker, MODELS)
    assert isinstance(attempt, Attempt)
    return attempt


def fall_silent(store: JobStore, *attempts: Attempt) -> None:
    """The leases of these attempts are over."""
    store.redis.zadd(keys.LEASES, {attempt.id: 1.0 for attempt in attempts})


def lose(store: JobStore, leases: Leases, times: int) -> str:
    """The id of a generation that has lost its worker so often."""
    id = store.create(a_request()).id
    for _ in range(times):
        fall_silent(store, claim(store, "a worker that dies"))
        assert leases.reap() == [id]
    return id


def read(store: JobStore, id: str) -> Record:
    record = store.get(id)
    assert record is not None
    return record


def test_a_lease_begins_with_the_attempt_and_is_renewed_by_who_holds_the_token(
    store: JobStore, leases: Leases, settings: Settings
) -> None:
    store.create(a_request())
    attempt = claim(store)
    assert _left(store, attempt) == pytest.approx(settings.lease_seconds, abs=1)
    fall_silent(store, attempt)
    assert leases.attend({attempt.token: attempt.id}, renew=False).stop == set()
    assert _left(store, attempt) < 0
    assert leases.attend({attempt.token: attempt.id}).stop == set()
    assert _left(store, attempt) == pytest.approx(settings.lease_seconds, abs=1)
    fall_silent(store, attempt)
    assert leases.attend({"another token": attempt.id}).stop == {"another token"}
    assert _left(store, attempt) < 0


def _left(store: JobStore, attempt: Attempt) -> float:
    seconds, microseconds = store.redis.time()
    end = store.redis.zscore(keys.LEASES, attempt.id)
    assert isinstance(end, float)
    return end - seconds - microseconds / 1e6


def test_what_lost_its_worker_is_first_in_line_again_and_its_worker_can_write_nothing(
    store: JobStore, leases: Leases
) -> None:
    first, second = store.create(a_request()).id, store.create(a_request()).id
    attempt = claim(store)
    assert leases.reap() == []
    fall_silent(store, attempt)
    assert leases.reap() == [first]
    record = read(store, first)
    assert (record.status, record.status_reason, record.losses) == (Status.QUEUED, "worker_lost", 1)
    assert leases.attend({attempt.token: first}).stop == {attempt.token}
    assert not store.progress(first, attempt.token, step=1, steps=2, nfe_done=1, nfe_total=2)
    assert not store.finish(first, attempt.token, Status.SUCCEEDED)
    assert not store.hand_back(first, attempt.token)
    again = claim(store, "another")
    assert (again.id, again.number) == (first, 2)
    assert claim(store, "another").id == second
    assert store.finish(first, again.token, Status.SUCCEEDED)
    assert not store.finish(first, attempt.token, Status.SUCCEEDED)


def test_who_loses_its_worker_too_often_fails_and_says_so(store: JobStore, leases: Leases, settings: Settings) -> None:
    id = lose(store, leases, settings.max_attempts)
    record = read(store, id)
    assert (record.status, record.status_reason, record.attempts) == (Status.FAILED, "worker_lost", 3)
    assert record.error is not None and record.error.code == "worker_lost"
    assert "3 times" in record.error.detail
    assert read_events(store.redis, id)[-1].type == "done"
    assert store.counters()["error:worker_lost"] == 1


def test_what_was_to_be_canceled_ends_so_when_its_worker_is_lost(store: JobStore, leases: Leases) -> None:
    id = store.create(a_request()).id
    attempt = claim(store)
    store.cancel(id)
    fall_silent(store, attempt)
    leases.reap()
    assert (read(store, id).status, read(store, id).status_reason) == (Status.CANCELED, "user")


def test_a_generation_that_lost_two_workers_runs_alone_in_its_third(store: JobStore, leases: Leases) -> None:
    suspected = lose(store, leases, 2)
    neighbour = store.create(a_request()).id
    alone = claim(store)
    assert alone.id == suspected
    assert store.claim("worker", MODELS) == 1
    assert claim(store, "another").id == neighbour
    assert store.finish(suspected, alone.token, Status.SUCCEEDED)
    assert store.claim("worker", MODELS) == 0


def test_a_worker_that_is_busy_takes_nothing_until_it_can_run_the_suspected_one(
    store: JobStore, leases: Leases
) -> None:
    running = store.create(a_request(priority="high")).id
    first = claim(store, "worker")
    suspected, later = lose(store, leases, 2), store.create(a_request()).id
    assert store.claim("worker", MODELS) == 2
    assert store.finish(running, first.token, Status.SUCCEEDED)
    alone = claim(store, "worker")
    assert alone.id == suspected
    assert store.finish(suspected, alone.token, Status.SUCCEEDED)
    assert claim(store, "worker").id == later


def test_neighbours_of_what_kills_its_workers_survive_it(store: JobStore, leases: Leases) -> None:
    """All are lost together while they run together; what kills then does so alone."""
    ids = [store.create(a_request()).id for _ in range(4)]
    poison = ids[1]
    for death in range(20):
        worker, running = f"worker {death}", []
        while isinstance(attempt := store.claim(worker, MODELS), Attempt):
            running.append(attempt)
        if not running:
            break
        if poison in [attempt.id for attempt in running]:
            fall_silent(store, *running)
            leases.reap()
        else:
            for attempt in running:
                assert store.finish(attempt.id, attempt.token, Status.SUCCEEDED)
    ended = {id: read(store, id).status for id in ids}
    assert ended == {id: Status.FAILED if id == poison else Status.SUCCEEDED for id in ids}
    assert read(store, poison).attempts == 3


def test_after_a_pause_of_redis_everybody_has_one_lease_to_say_that_it_lives(
    store: JobStore, leases: Leases, settings: Settings
) -> None:
    store.create(a_request())
    fall_silent(store, claim(store))
    store.redis.hset(keys.ROUNDS, "last", 1.0)
    assert leases.reap() == []
    assert leases.reap() == []
    patient = store.redis.hget(keys.ROUNDS, "patient_until")
    last = store.redis.hget(keys.ROUNDS, "last")
    assert isinstance(patient, bytes) and isinstance(last, bytes)
    assert float(patient) - float(last) == pytest.approx(settings.lease_seconds, abs=1)
    store.redis.hset(keys.ROUNDS, "patient_until", 0)
    assert len(leases.reap()) == 1


def test_a_claim_that_is_asked_for_twice_is_one_attempt(store: JobStore) -> None:
    id, other = store.create(a_request()).id, store.create(a_request()).id
    first = store.claim("worker", MODELS, "token")
    again = store.claim("worker", MODELS, "token")
    assert isinstance(first, Attempt) and isinstance(again, Attempt)
    assert (first.id, again.id, again.number) == (id, id, 1)
    assert read(store, other).status == Status.QUEUED


def test_a_lease_of_a_record_that_is_gone_is_forgotten(connection: redis.Redis, leases: Leases) -> None:
    connection.zadd(keys.LEASES, {"gone": 1.0})
    assert leases.reap() == []
    assert connection.zcard(keys.LEASES) == 0
