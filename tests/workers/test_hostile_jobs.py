"""Whoever can write to Redis owns the data of the service, and still cannot make a worker run code."""

from __future__ import annotations

import json
import os
import pickle
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from rq.exceptions import NoSuchJobError
from rq.serializers import JSONSerializer
from rq.utils import utcformat

from jobs import queue
from jobs.record import Status
from jobs.settings import Settings
from jobs.store import JobStore
from tests.workers.process import BODY, create, ended, running_worker

pytestmark = pytest.mark.redis

ZEN = "The Zen of Python"
"""What the module `this` prints when it is imported."""
OURS = json.dumps([queue.FUNCTION, None, [], {}]).encode()


class Touching:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.path}",)


def call(function: Any, *arguments: Any) -> bytes:
    return json.dumps([function, None, arguments, {}]).encode()


def put(redis: redis.Redis, name: str, data: bytes, **fields: Any) -> None:
    """A job as RQ stores one, at the end of the queue."""
    known: dict[Any, Any] = {
        "created_at": utcformat(datetime.now(UTC)),
        "origin": queue.NAME,
        "status": "queued",
        "timeout": "-1",
    }
    redis.hset(f"rq:job:{name}", mapping=known | {"origin": queue.NAME, "data": data} | fields)
    redis.rpush(f"rq:queue:{queue.NAME}", name)


def hostile(folder: Path) -> dict[str, dict[str, Any]]:
    """Jobs that leave a file of their name, or the Zen of Python on stdout, where they have their way."""

    def touch(name: str) -> str:
        return f"touch {folder / name}"

    def pickled(name: str) -> bytes:
        return pickle.dumps(Touching(folder / name))

    return {
        "another-function": {"data": call("os.system", touch("another-function"))},
        "compressed": {"data": zlib.compress(call("subprocess.getoutput", touch("compressed")))},
        "builtin": {"data": call("eval", f"__import__('os').system({touch('builtin')!r})")},
        "an-import": {"data": call("this.d")},
        "our-function-with-arguments": {"data": call(queue.FUNCTION, 1)},
        "a-method": {"data": json.dumps(["upper", "text", [], {}]).encode()},
        "pickle": {"data": pickled("pickle")},
        "pickle-beside": {"data": OURS, "result": pickled("result"), "meta": pickled("meta")},
        "callbacks": {
            "data": OURS,
            **{f"{kind}_callback_name": "this.d" for kind in ("success", "failure", "stopped")},
        },
        "no-call": {"data": b"[]"},
        "deep": {"data": b"[" * 250},
        "a-bomb": {"data": zlib.compress(bytes(2**26))},
        "nonsense": {"data": OURS, "status": b"\xff", "created_at": "never"},
        "empty": {"data": b""},
    }


def test_no_job_but_a_bell_is_performed_and_the_worker_goes_on(
    settings: Settings, store: JobStore, tmp_path: Path
) -> None:
    jobs = hostile(tmp_path)
    for name, fields in jobs.items():
        put(store.redis, name, **fields)
    with running_worker(settings) as process:
        record = ended(store, create(store, BODY))
        assert record.status == Status.SUCCEEDED
        assert store.redis.llen(f"rq:queue:{queue.NAME}") == 0
        process.terminate()
        said, errors = process.communicate(timeout=60)
    assert list(tmp_path.iterdir()) == []
    assert ZEN not in said
    refused = [name for name in jobs if f"a job that is not ours was refused: {name!r}" in errors]
    assert refused == [name for name in jobs if name not in ("pickle-beside", "callbacks")]
    assert "quitting" not in errors


def test_of_what_a_bell_says_beside_its_call_nothing_is_called_sent_or_unpickled(
    store: JobStore, tmp_path: Path
) -> None:
    callbacks = {f"{kind}_callback_name": "os.system" for kind in ("success", "failure", "stopped")}
    hooks = json.dumps([{"url": "http://127.0.0.1:1/", "on": ["finished"]}])
    others = {"result": pickle.dumps(Touching(tmp_path / "result")), "dependency_ids": '["other"]', "retries_left": "3"}
    put(store.redis, "bell", OURS, webhooks=hooks, **callbacks, **others)
    bell = queue.Bell.fetch("bell", connection=store.redis)  # RQ's own default would be pickle
    assert bell.serializer is JSONSerializer
    assert [bell.success_callback, bell.failure_callback, bell.stopped_callback] == [None] * 3
    assert (bell.webhooks, bell.dependency_ids, bell.retries_left, bell.meta) == ([], [], None, {})
    assert bell.return_value() is None
    assert list(tmp_path.iterdir()) == []
    store.redis.delete("rq:job:bell", f"rq:queue:{queue.NAME}")


def test_a_job_that_is_no_bell_does_not_exist(store: JobStore) -> None:
    put(store.redis, "evil", call("os.system", "true"))
    with pytest.raises(NoSuchJobError, match="'evil' is no bell"):
        queue.Bell.fetch("evil", connection=store.redis)
    assert queue.queue(store.redis).fetch_job("evil") is None
    store.redis.delete("rq:job:evil", f"rq:queue:{queue.NAME}")
