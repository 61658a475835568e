"""RQ in threads: what is queued is run, one thread stops within a second, Redis may go away."""

from __future__ import annotations

import queue as std
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import cast

import pytest
from rq import Queue, get_current_job

from jobs import queue
from jobs.connection import connect
from jobs.embedded import EmbeddedRedis
from jobs.record import Status
from jobs.settings import Settings
from jobs.store import JobStore
from tests.jobs.requests import a_request

performed: std.SimpleQueue[str] = std.SimpleQueue()
TIMEOUT = 30.0


def perform() -> None:
    """What RQ calls instead of a real worker's function: notes whose bell it was."""
    job = get_current_job()
    assert job is not None
    id = job.id.rpartition("-")[0]
    performed.put(id)
    if id == "broken":
        raise RuntimeError("a task that fails")


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "FUNCTION", "tests.jobs.test_queue.perform")
    # Under pytest this module may have been imported under another name; RQ imports it by this one.
    monkeypatch.setitem(__import__("sys").modules, "tests.jobs.test_queue", __import__("sys").modules[__name__])
    monkeypatch.setattr(queue, "BACKOFF_SECONDS", 0.01)


@contextmanager
def listening(settings: Settings, threads: int = 1) -> Iterator[None]:
    stop = threading.Event()
    running = [threading.Thread(target=queue.listen, args=(settings, stop)) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in running:
            thread.join(TIMEOUT)
        assert not any(thread.is_alive() for thread in running)


def test_what_is_queued_is_performed(store: JobStore, settings: Settings) -> None:
    ids = [store.create(a_request()).id for _ in range(5)]
    with listening(settings, threads=2):
        assert sorted(performed.get(timeout=TIMEOUT) for _ in ids) == ids


def test_each_attempt_is_performed_also_when_handed_back_while_running(store: JobStore, settings: Settings) -> None:
    id = store.create(a_request()).id
    attempt = store.start(id, "worker")
    assert attempt is not None
    store.hand_back(id, attempt.token)
    with listening(settings):
        assert [performed.get(timeout=TIMEOUT) for _ in range(2)] == [id, id]


def test_a_task_that_fails_does_not_end_its_thread(store: JobStore, settings: Settings) -> None:
    with store.redis.pipeline() as pipeline:
        queue.ring(pipeline, queue.queue(store.redis), "broken-1")
        pipeline.execute()
    id = store.create(a_request()).id
    with listening(settings):
        assert [performed.get(timeout=TIMEOUT) for _ in range(2)] == ["broken", id]


def test_listening_outlives_a_restart_of_redis_and_nothing_is_lost(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server:
        settings = Settings(redis_url=server.url, data_dir=tmp_path)
        with connect(settings) as connection:
            store = JobStore(connection, settings)
            with listening(settings):
                first = store.create(a_request()).id
                assert performed.get(timeout=TIMEOUT) == first
                server.stop()
                server.start()
                second = store.create(a_request()).id
                assert performed.get(timeout=TIMEOUT) == second
            record = store.get(first)
            assert record is not None
            assert record.status == Status.QUEUED


def test_workers_leave_no_trace_of_themselves(store: JobStore, settings: Settings) -> None:
    id = store.create(a_request()).id
    with listening(settings):
        assert performed.get(timeout=TIMEOUT) == id
    assert store.redis.scard("rq:workers") == 0
    assert queue.queue(store.redis).count == 0


def test_the_queue_is_one_that_rq_tools_see(store: JobStore) -> None:
    store.create(a_request())
    assert [(found.name, found.count) for found in Queue.all(connection=store.redis)] == [("guidepost", 1)]


def test_a_bell_is_what_rq_itself_would_have_queued(store: JobStore) -> None:
    """The script rings with RQ's own commands."""
    ours = f"{store.create(a_request()).id}-1"
    with store.redis.pipeline() as pipeline:
        queue.ring(pipeline, queue.queue(store.redis), "theirs-1")
        pipeline.execute()
    assert store.redis.lrange("rq:queue:guidepost", 0, -1) == [ours.encode(), b"theirs-1"]
    written, expected = (hash_of(store, name) for name in (ours, "theirs-1"))
    assert written.keys() == expected.keys()
    assert abs(when(written) - when(expected)).total_seconds() <= 60
    for fields in (written, expected):
        for changing in (b"created_at", b"enqueued_at", b"description"):
            del fields[changing]
    assert written == expected


def hash_of(store: JobStore, name: str) -> dict[bytes, bytes]:
    return cast(dict[bytes, bytes], store.redis.hgetall(f"rq:job:{name}"))


def when(fields: dict[bytes, bytes]) -> datetime:
    return datetime.fromisoformat(fields[b"enqueued_at"].decode())
