"""What happens though nobody asks."""

from __future__ import annotations

import pytest

from jobs import keys
from jobs.artifacts import ArtifactStore, StorageAway, image_key
from jobs.housekeeping import Housekeeper
from jobs.order import Terms
from jobs.record import Status
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
    housekeeper.tidy()
    assert status(store, late) == (Status.EXPIRED, "deadline")
    assert status(store, fine) == (Status.QUEUED, None)
    assert store.redis.zrange(keys.DEADLINES, 0, -1) == [fine.encode()]


def test_who_runs_past_its_deadline_is_canceled_for_that_reason(store: JobStore, housekeeper: Housekeeper) -> None:
    id = store.create(a_request(), terms=Terms(cancel_after=3600)).id
    attempt = store.start(id, "worker")
    assert attempt is not None and attempt.deadline_at is not None
    store.redis.hset(keys.generation(id), "deadline_at", "1.0")
    store.redis.zadd(keys.DEADLINES, {id: 1.0})
    housekeeper.tidy()
    assert store.canceling([id]) == {id}
    assert store.finish(id, attempt.token, Status.CANCELED, reason="user")
    assert status(store, id) == (Status.CANCELED, "deadline")
    housekeeper.tidy()
    assert store.redis.zcard(keys.DEADLINES) == 0


def test_bytes_are_removed_when_they_expire_and_the_record_stays(
    store: JobStore, housekeeper: Housekeeper, artifacts: ArtifactStore
) -> None:
    kept, expired = store.create(a_request()).id, store.create(a_request()).id
    for id in (kept, expired):
        artifacts.put(image_key(id, 0), b"bytes")
        store.cancel(id)
    store.redis.zadd(keys.STORED, {expired: 1.0})
    housekeeper.tidy()
    assert artifacts.get(image_key(kept, 0)) == b"bytes"
    assert artifacts.get(image_key(expired, 0)) is None
    assert status(store, expired)[0] == Status.CANCELED
    assert store.redis.zrange(keys.STORED, 0, -1) == [kept.encode()]


def test_what_cannot_be_removed_from_an_object_store_stays_due(store: JobStore, settings: Settings, s3: int) -> None:
    artifacts = ArtifactStore("s3://bucket/prefix")
    housekeeper = Housekeeper(settings, artifacts)
    id = store.create(a_request()).id
    store.redis.zadd(keys.STORED, {id: 1.0})
    with pytest.raises(StorageAway):
        housekeeper.tidy()
    assert store.redis.zrange(keys.STORED, 0, -1) == [id.encode()]
    make_bucket(s3, "bucket")
    artifacts.put(image_key(id, 0), b"bytes")
    housekeeper.tidy()
    assert artifacts.get(image_key(id, 0)) is None
    assert store.redis.zcard(keys.STORED) == 0


def test_one_housekeeper_has_a_round(housekeeper: Housekeeper, settings: Settings, artifacts: ArtifactStore) -> None:
    other = Housekeeper(settings, artifacts)
    assert housekeeper._mine()
    assert not other._mine()
