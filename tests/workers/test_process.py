"""A real worker process on a real Redis: what an operator starts, seen from the queue."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator

import pytest

from guidance.models.gaussians import Gaussians
from jobs.artifacts import ArtifactStore, diagnostics_key, image_key
from jobs.presence import live_models
from jobs.record import Status
from jobs.request import GenerationRequest
from jobs.settings import Settings
from jobs.store import JobStore
from tests.workers.process import BODY, LONG, create, ended, events_until, running_worker
from workers.local import generate

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def worker(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    with running_worker(settings) as process:
        yield process


def test_it_publishes_its_models(worker: subprocess.Popen[str], store: JobStore) -> None:
    assert live_models(store.redis)["gaussians"] == Gaussians.pictures().info


def test_a_generation_gets_the_bytes_it_gets_without_a_service(
    worker: subprocess.Popen[str], store: JobStore, settings: Settings
) -> None:
    record = ended(store, create(store, BODY))
    expected = generate(GenerationRequest.model_validate(BODY), settings=settings)
    artifacts = ArtifactStore(settings.artifacts)
    assert record.status == Status.SUCCEEDED
    assert [image.sha256 for image in record.images] == [image.sha256 for image in expected.images]
    stored = [artifacts.get(image_key(record.id, record.attempts, image.index)) for image in record.images]
    assert [hashlib.sha256(data or b"").hexdigest() for data in stored] == [one.sha256 for one in record.images]
    assert artifacts.get(diagnostics_key(record.id, record.attempts)) is not None
    assert (record.usage.nfe, record.nfe_done, record.attempts) == (120, 120, 1)


def test_a_running_generation_is_canceled(worker: subprocess.Popen[str], store: JobStore) -> None:
    id = create(store, LONG)
    events_until(store.settings, id, lambda event: event.type == "step")
    store.cancel(id)
    record = ended(store, id)
    assert (record.status, record.status_reason) == (Status.CANCELED, "user")
    assert record.step < record.steps


def test_each_image_has_its_event(worker: subprocess.Popen[str], store: JobStore) -> None:
    told = events_until(store.settings, create(store, BODY), lambda event: event.type == "done")
    assert [event.data["index"] for event in told if event.type == "image"] == [0, 1]


def test_a_generation_canceled_in_the_queue_never_runs(store: JobStore, settings: Settings) -> None:
    id = create(store, BODY)  # may be taken at once: cancel is then one of a running generation
    store.cancel(id)
    assert ended(store, id).status == Status.CANCELED


def test_a_model_that_cannot_be_loaded_is_reported_and_not_claimed(store: JobStore, settings: Settings) -> None:
    with running_worker(settings, models="gaussians,broken=/nowhere/model") as process:
        assert "broken" not in live_models(store.redis)
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert "model broken is not served: /nowhere/model is not a folder" in errors
