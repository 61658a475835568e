"""A worker process that is asked to end finishes what it runs and takes nothing new."""

from __future__ import annotations

import signal

import pytest

from jobs.record import Status
from jobs.settings import Settings
from jobs.store import JobStore
from tests.workers.process import LONG, create, ended, events_until, running_worker

pytestmark = pytest.mark.redis


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


def test_what_does_not_end_in_time_is_handed_back_and_runs_elsewhere(store: JobStore, settings: Settings) -> None:
    with running_worker(settings, drain_seconds=0) as process:
        id = create(store, LONG)
        events_until(settings, id, lambda event: event.type == "step")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    record = store.get(id)
    assert record is not None
    assert (record.status, record.status_reason, record.losses) == (Status.QUEUED, "shutdown", 0)
    assert record.checkpoint == 1
    with running_worker(settings):
        assert (ended(store, id).status, ended(store, id).attempts) == (Status.SUCCEEDED, 2)
