"""Places that only short generations take."""

from __future__ import annotations

import pytest

from jobs.record import Status
from jobs.settings import Settings
from jobs.store import JobStore
from tests.workers.conftest import Failing, MakeTask
from workers.express import Express
from workers.runtime import Runtime

pytestmark = pytest.mark.redis


def test_a_short_one_is_run_while_a_long_one_goes_on_waiting(
    settings: Settings, store: JobStore, model: Failing, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime(settings, {"small": model})
    monkeypatch.setattr(Runtime, "current", runtime, raising=False)
    long = store.create(make_task(sampler={"type": "ddim", "steps": 50}).request, 100).id
    short = store.create(make_task().request, 8).id
    express, engine = Express(runtime), runtime.engine.start()
    threads = express.start()
    express.wake()
    while (record := store.get(short)) is not None and not record.terminal:
        pass
    runtime.leaving.set()
    for thread in threads:
        thread.join()
    runtime.engine.stop()
    engine.join()
    waiting = store.get(long)
    assert record is not None and waiting is not None
    assert (record.status, waiting.status) == (Status.SUCCEEDED, Status.QUEUED)
