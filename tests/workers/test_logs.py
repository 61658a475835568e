"""A generation that fails where the engine cannot see it is logged as that generation."""

from __future__ import annotations

import io
import json

import pytest

from jobs.correlation import Correlation, correlated
from jobs.logs import configure
from jobs.record import Status
from jobs.settings import Settings
from jobs.store import JobStore
from tests.workers.conftest import Failing, MakeTask
from workers.perform import perform
from workers.runtime import Runtime

pytestmark = pytest.mark.redis


def test_bytes_that_cannot_be_stored(
    settings: Settings,
    store: JobStore,
    model: Failing,
    make_task: MakeTask,
    log_stream: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    runtime = Runtime(settings, {"small": model})
    monkeypatch.setattr(Runtime, "current", runtime, raising=False)
    monkeypatch.setattr(runtime.artifacts, "put", full)
    configure(settings.model_copy(update={"log_format": "json"}), log_stream)
    with correlated(Correlation("request")):
        id = store.create(make_task().request).id
    thread = runtime.engine.start()
    perform()
    runtime.engine.stop()
    thread.join()
    started, failed = map(json.loads, log_stream.getvalue().splitlines())
    record = store.get(id)
    assert record is not None and (record.status, record.status_reason) == (Status.FAILED, "internal")
    assert "no space left on device" in failed["exc_info"]
    for line in (started, failed):
        assert (line["request_id"], line["generation_id"]) == ("request", id)
