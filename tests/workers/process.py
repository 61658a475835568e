"""A worker as a process, and waiting in Redis for what it does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from guidance.models.gaussians import Gaussians
from jobs import keys
from jobs.connection import connect_blocking
from jobs.events import Event, read_events
from jobs.record import Record
from jobs.request import GenerationRequest, resolve
from jobs.settings import Settings
from jobs.store import JobStore

PATIENCE_MS = 60_000
BODY: dict[str, Any] = {"model": "gaussians", "label": 1, "seed": 3, "n": 2, "diagnostics": "full"}
LONG: dict[str, Any] = BODY | {"n": 16, "sampler": {"type": "ddpm", "steps": 250}}


@contextmanager
def running_worker(
    settings: Settings, models: str = "gaussians", drain_seconds: float = 60
) -> Iterator[subprocess.Popen[str]]:
    """A worker process that said it is ready; ended by SIGTERM unless it has ended."""
    ours = {
        "GUIDEPOST_REDIS_URL": settings.redis,
        "GUIDEPOST_DATA_DIR": str(settings.data_dir),
        "GUIDEPOST_MODELS": models,
        "GUIDEPOST_CONCURRENCY": "2",
        "GUIDEPOST_DRAIN_SECONDS": str(drain_seconds),
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


def create(store: JobStore, body: dict[str, Any]) -> str:
    return store.create(resolve(GenerationRequest.model_validate(body), Gaussians.pictures().info)).id


def events_until(settings: Settings, id: str, enough: Callable[[Event], bool]) -> list[Event]:
    """The events of a generation up to one that is enough, waited for in Redis."""
    connection = connect_blocking(settings, PATIENCE_MS / 1000)
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
