"""A real worker process on a real Redis: what an operator starts, seen from the queue."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from guidance.models.gaussians import Gaussians
from jobs import keys
from jobs.artifacts import ArtifactStore, diagnostics_key, image_key
from jobs.connection import connect, connect_blocking
from jobs.embedded import EmbeddedRedis
from jobs.events import Event, read_events
from jobs.presence import live_models
from jobs.record import Record, Status
from jobs.request import GenerationRequest, resolve
from jobs.settings import Settings
from jobs.store import JobStore
from workers.local import generate

pytestmark = pytest.mark.redis

PATIENCE_MS = 60_000
BODY: dict[str, Any] = {"model": "gaussians", "label": 1, "seed": 3, "n": 2, "diagnostics": "full"}
LONG: dict[str, Any] = BODY | {"n": 16, "sampler": {"type": "ddpm", "steps": 250}}


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path_factory.mktemp("worker")) as server:
        yield server


@pytest.fixture(scope="module")
def settings(redis_server: EmbeddedRedis) -> Settings:
    return Settings(redis_url=redis_server.url, data_dir=redis_server.folder.parent, models="gaussians")


@contextmanager
def running_worker(settings: Settings, models: str = "gaussians") -> Iterator[subprocess.Popen[str]]:
    """A worker process that said it is ready; ended by SIGTERM unless it has ended."""
    ours = {
        "GUIDEPOST_REDIS_URL": settings.redis,
        "GUIDEPOST_DATA_DIR": str(settings.data_dir),
        "GUIDEPOST_MODELS": models,
        "GUIDEPOST_CONCURRENCY": "2",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "worker"],
        env=os.environ | ours,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert "ready" in process.stdout.readline()
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def worker(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    with running_worker(settings) as process:
        yield process


@pytest.fixture
def store(settings: Settings) -> Iterator[JobStore]:
    connection = connect(settings)
    yield JobStore(connection, settings)
    connection.close()


def create(store: JobStore, body: dict[str, Any]) -> str:
    return store.create(resolve(GenerationRequest.model_validate(body), Gaussians.pictures().info)).id


def events_until(settings: Settings, id: str, enough: Callable[[Event], bool]) -> list[Event]:
    """The events of a generation up to one that is enough, waited for in Redis."""
    connection = connect_blocking(settings)
    try:
        while True:
            found = read_events(connection, id)
            if any(map(enough, found)):
                return found
            last = found[-1].seq if found else 0
            assert connection.xread({keys.events(id): f"{last}-0"}, block=PATIENCE_MS), f"nothing came after {last}"
    finally:
        connection.close()


def ended(store: JobStore, id: str) -> Record:
    events_until(store.settings, id, lambda event: event.type == "done")
    record = store.get(id)
    assert record is not None
    return record


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
    stored = [artifacts.get(image_key(record.id, image.index)) for image in record.images]
    assert [hashlib.sha256(data or b"").hexdigest() for data in stored] == [one.sha256 for one in record.images]
    assert artifacts.get(diagnostics_key(record.id)) is not None
    assert (record.usage.nfe, record.nfe_done, record.attempts) == (120, 120, 1)


def test_a_running_generation_is_canceled(worker: subprocess.Popen[str], store: JobStore) -> None:
    id = create(store, LONG)
    events_until(store.settings, id, lambda event: event.type == "step")
    store.cancel(id)
    record = ended(store, id)
    assert (record.status, record.status_reason) == (Status.CANCELED, "user")
    assert record.step < record.steps


def test_a_generation_canceled_in_the_queue_never_runs(store: JobStore, settings: Settings) -> None:
    id = create(store, BODY)  # may be taken at once: cancel is then one of a running generation
    store.cancel(id)
    assert ended(store, id).status == Status.CANCELED


def test_sigterm_finishes_what_runs_and_leaves(store: JobStore, settings: Settings) -> None:
    with running_worker(settings) as process:
        ids = [create(store, LONG | {"n": 2}) for _ in range(4)]  # more than this worker takes at a time
        events_until(settings, ids[0], lambda event: event.type == "step")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 0
    statuses = [record.status for record in map(store.get, ids) if record]
    assert statuses[0] == Status.SUCCEEDED
    assert set(statuses) <= {Status.SUCCEEDED, Status.QUEUED} and statuses[-1] == Status.QUEUED
    for id in ids:
        store.cancel(id)


def test_a_model_that_cannot_be_loaded_is_reported_and_not_claimed(store: JobStore, settings: Settings) -> None:
    with running_worker(settings, models="gaussians,broken=/nowhere/model") as process:
        assert "broken" not in live_models(store.redis)
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert "model broken is not served: /nowhere/model is not a folder" in errors
