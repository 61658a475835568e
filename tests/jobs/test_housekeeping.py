"""What happens though nobody asks."""

from __future__ import annotations

import time

import pytest

from jobs import housekeeping, keys, queue
from jobs.artifacts import ArtifactStore, StorageAway, image_key
from jobs.housekeeping import Housekeeper
from jobs.ids import least_id, new_id
from jobs.order import Terms
from jobs.record import Status
from jobs.rounds import Rounds
from jobs.settings import Settings
from jobs.store import JobStore
from tests.jobs.requests import a_request
from tests.s3 import make_bucket


@pytest.fixture
def artifacts(settings: Settings) -> ArtifactStore:
    return ArtifactStore(settings.artifacts)


@pytest.fixture
def housekeeper(store: JobStore, settings: Settings, artifacts: ArtifactStore) -> Housekeeper:
    return Housekeeper(settings, artifacts)


def status(store: JobStore, id: str) -> tuple[Status, str | None]:
    record = store.get(id)
    assert record is not None
    return record.status, record.status_reason


def test_who_waits_past_its_deadline_expires(store: JobStore, housekeeper: Housekeeper) -> None:
    late = store.create(a_request(), terms=Terms(cancel_after=1e-6)).id
    fine = store.create(a_request(), terms=Terms(cancel_after=3600)).id
    housekeeper.tend_line()
    assert status(store, late) == (Status.EXPIRED, "deadline")
    assert status(store, fine) == (Status.QUEUED, None)
    assert store.redis.zrange(keys.DEADLINES, 0, -1) == [fine.encode()]


def test_who_runs_past_its_deadline_is_canceled_for_that_reason(store: JobStore, housekeeper: Housekeeper) -> None:
    id = store.create(a_request(), terms=Terms(cancel_after=3600)).id
    attempt = store.start(id, "worker")
    assert attempt is not None and attempt.deadline_at is not None
    store.redis.hset(keys.generation(id), "deadline_at", "1.0")
    store.redis.zadd(keys.DEADLINES, {id: 1.0})
    housekeeper.tend_line()
    assert (running := store.get(id)) and running.cancel_requested == "deadline"
    assert store.finish(id, attempt.token, Status.CANCELED, reason="user")
    assert status(store, id) == (Status.CANCELED, "deadline")
    housekeeper.tend_line()
    assert store.redis.zcard(keys.DEADLINES) == 0


def test_bytes_are_removed_when_they_expire_and_the_record_stays(
    store: JobStore, housekeeper: Housekeeper, artifacts: ArtifactStore
) -> None:
    kept, expired = store.create(a_request()).id, store.create(a_request()).id
    for id in (kept, expired):
        artifacts.put(image_key(id, 1, 0), b"bytes")
        store.cancel(id)
    store.redis.zadd(keys.STORED, {expired: 1.0})
    housekeeper.remove_expired()
    assert artifacts.get(image_key(kept, 1, 0)) == b"bytes"
    assert artifacts.get(image_key(expired, 1, 0)) is None
    assert status(store, expired)[0] == Status.CANCELED
    assert store.redis.zrange(keys.STORED, 0, -1) == [kept.encode()]


def test_what_cannot_be_removed_from_an_object_store_stays_due(store: JobStore, settings: Settings, s3: int) -> None:
    artifacts = ArtifactStore("s3://bucket/prefix")
    housekeeper = Housekeeper(settings, artifacts)
    id = store.create(a_request()).id
    store.redis.zadd(keys.STORED, {id: 1.0})
    with pytest.raises(StorageAway):
        housekeeper.remove_expired()
    assert store.redis.zrange(keys.STORED, 0, -1) == [id.encode()]
    make_bucket(s3, "bucket")
    artifacts.put(image_key(id, 1, 0), b"bytes")
    housekeeper.remove_expired()
    assert artifacts.get(image_key(id, 1, 0)) is None
    assert store.redis.zcard(keys.STORED) == 0


def test_bytes_that_no_record_knows_of_are_removed_when_they_are_old(
    store: JobStore, housekeeper: Housekeeper, artifacts: ArtifactStore
) -> None:
    old = least_id(time.time() - 10 * store.settings.record_ttl_seconds) + "-7000-8000-000000000000"
    known = least_id(time.time() - 11 * store.settings.record_ttl_seconds) + "-7000-8000-000000000000"
    young = new_id()
    for id in (old, known, young):
        artifacts.put(image_key(id, 1, 0), b"bytes")
    store.redis.hset(keys.generation(known), "id", known)
    housekeeper.remove_orphans()
    assert artifacts.owners() == sorted([known, young])


def test_a_bell_that_got_lost_is_rung_again(store: JobStore, housekeeper: Housekeeper, settings: Settings) -> None:
    store.create(a_request())
    store.redis.delete(queue.queue(store.redis).key)
    assert store.unheard() == 1
    housekeeper.tend_line()
    assert (store.unheard(), queue.queue(store.redis).count) == (0, 1)
    housekeeper.tend_line()
    assert queue.queue(store.redis).count == 1


def test_bells_of_what_was_canceled_do_not_pile_up(
    store: JobStore, housekeeper: Housekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "SPARE_BELLS", 2)
    for id in [store.create(a_request()).id for _ in range(6)]:
        store.cancel(id)
    store.create(a_request())
    housekeeper.tend_line()
    assert queue.queue(store.redis).count == 1 + 2
    assert len(store.redis.keys("rq:job:*")) == 1 + 2


def test_one_process_has_a_round(store: JobStore) -> None:
    ours, theirs = (Rounds("a round", store.redis, 60, lambda: None) for _ in range(2))
    assert ours.mine()
    assert not theirs.mine()
    assert Rounds("another", store.redis, 60, lambda: None).mine()
