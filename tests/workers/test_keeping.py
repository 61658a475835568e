"""Where checkpoints are kept, who may say so, and a worker process that goes on with what another has begun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import workers.keeper
from guidance.checkpoint import Packed
from guidance.models.gaussians import Gaussians
from jobs.artifacts import ArtifactStore, checkpoint_key
from jobs.attempt import Attempt
from jobs.events import Event
from jobs.record import Record, Status
from jobs.settings import Settings
from jobs.store import JobStore
from tests.workers.process import LONG, create, ended, events_until, running_worker
from workers.checkpoint import Checkpoint
from workers.keeper import Keeper

pytestmark = pytest.mark.redis
MODEL = Gaussians.pictures()
BODY: dict[str, Any] = LONG | {"n": 2}


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path.as_uri())


def keeper(artifacts: ArtifactStore, store: JobStore, attempt: Attempt | None) -> Keeper:
    assert attempt is not None
    return Keeper(artifacts, store, attempt, MODEL)


def checkpoint(number: float) -> Checkpoint:
    return Checkpoint(Packed.of([torch.tensor(number)]))


def found(keeper: Keeper) -> float | None:
    packed = keeper.latest()
    return None if packed is None else float(packed.unpacked(torch.device("cpu"))[0])


def test_the_next_attempt_finds_the_last_one_and_then_only_its_own_is_kept(
    store: JobStore, artifacts: ArtifactStore
) -> None:
    id = create(store, BODY)
    first = keeper(artifacts, store, store.start(id, "one"))
    assert found(first) is None
    assert first.keep(checkpoint(1)) and first.keep(checkpoint(2))
    store.hand_back(id, first.attempt.token)
    second = keeper(artifacts, store, store.start(id, "two"))
    assert found(second) == 2
    assert second.keep(checkpoint(3))
    assert [artifacts.get(checkpoint_key(id, attempt)) is None for attempt in (1, 2)] == [True, False]
    assert store.finish(id, second.attempt.token, Status.SUCCEEDED)
    second.forget()
    record = store.get(id)
    assert record is not None and record.checkpoint is None and artifacts.get(checkpoint_key(id, 2)) is None


def test_a_worker_whose_attempt_is_over_cannot_replace_the_note(store: JobStore, artifacts: ArtifactStore) -> None:
    id = create(store, BODY)
    stale = keeper(artifacts, store, store.start(id, "stale"))
    store.hand_back(id, stale.attempt.token)
    live = keeper(artifacts, store, store.start(id, "live"))
    assert live.keep(checkpoint(2))
    assert not stale.keep(checkpoint(1))
    store.hand_back(id, live.attempt.token)
    assert found(keeper(artifacts, store, store.start(id, "next"))) == 2


@pytest.mark.parametrize("harm", ["cut short", "gone", "of another version"])
def test_one_that_cannot_be_used_is_passed_over(
    harm: str, store: JobStore, artifacts: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = create(store, BODY)
    first = keeper(artifacts, store, store.start(id, "one"))
    first.keep(checkpoint(1))
    store.hand_back(id, first.attempt.token)
    key = checkpoint_key(id, 1)
    if harm == "cut short":
        artifacts.put(key, (artifacts.get(key) or b"")[:-1])
    elif harm == "gone":
        artifacts.remove(key)
    else:
        monkeypatch.setattr(workers.keeper, "VERSION", "0.0.0")
    assert found(keeper(artifacts, store, store.start(id, "two"))) is None


def test_a_store_that_is_away_stops_nothing(store: JobStore) -> None:
    keeps = keeper(ArtifactStore("s3://nowhere/x", patience=0), store, store.start(create(store, BODY), "one"))
    assert keeps.keep(one := checkpoint(1)) and one.taken.is_set()
    keeps.forget()


@pytest.mark.slow
def test_after_a_kill_another_worker_goes_on_and_the_images_are_those_of_no_cut(
    store: JobStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUIDEPOST_CHECKPOINT_SECONDS", "0.05")
    monkeypatch.setenv("GUIDEPOST_LEASE_SECONDS", "1")
    artifacts = ArtifactStore(settings.artifacts)
    with running_worker(settings) as process:
        id = create(store, BODY)
        events_until(settings, id, lambda event: noted(store, id) is not None)
        process.kill()
        process.wait()
    with running_worker(settings):
        cut, whole = ended(store, id), ended(store, create(store, BODY))
    assert (cut.status, cut.attempts, whole.attempts) == (Status.SUCCEEDED, 2, 1)
    assert [image.sha256 for image in cut.images] == [image.sha256 for image in whole.images]
    assert cut.usage.nfe == whole.usage.nfe
    assert first_step(events_until(settings, id, lambda event: event.type == "done"), attempt=2) > 1
    assert (cut.checkpoint, [artifacts.get(checkpoint_key(id, attempt)) for attempt in (1, 2)]) == (None, [None, None])


def noted(store: JobStore, id: str) -> int | None:
    record: Record | None = store.get(id)
    return record.checkpoint if record else None


def first_step(events: list[Event], attempt: int) -> int:
    """The first that an attempt told of."""
    begun = [event.data.get("status") == "running" and event.data["attempts"] == attempt for event in events].index(
        True
    )
    return next(int(event.data["step"]) for event in events[begun:] if event.type == "step")
