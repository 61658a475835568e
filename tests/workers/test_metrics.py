"""What a worker tells of an engine that ran out of memory, and where it listens."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence

import pytest
import torch
from prometheus_client import generate_latest

from guidance.protocol import Branch
from jobs.settings import Settings
from tests.workers.conftest import Failing, MakeTask, run_to_end
from workers.metrics import PortTaken, registry, serve
from workers.runtime import Runtime

pytestmark = pytest.mark.redis


@pytest.fixture
def runtime(settings: Settings, model: Failing) -> Runtime:
    return Runtime(settings, {"small": model})


def test_splits_and_lack_of_memory_are_counted(runtime: Runtime, model: Failing, make_task: MakeTask) -> None:
    def fault(batch: Sequence[Branch], outputs: object) -> None:
        if len(batch) > 2:
            raise torch.OutOfMemoryError("no room")

    model.fault = fault
    [ended] = run_to_end(runtime.engine, [make_task(n=2)])
    assert ended.status == "succeeded"
    lines = generate_latest(registry(runtime)).decode().splitlines()
    for expected in (
        "guidepost_engine_splits_total 1.0",
        "guidepost_engine_out_of_memory_total 1.0",
        "guidepost_engine_max_batch_rows 2.0",
        'guidepost_engine_batch_rows_bucket{le="2.0"} 8.0',
        "guidepost_engine_steps_total 8.0",
    ):
        assert expected in lines, expected


def test_a_task_that_fails_is_logged_under_its_labels_with_what_it_took(
    runtime: Runtime, model: Failing, make_task: MakeTask, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(batch: Sequence[Branch], outputs: object) -> None:
        raise RuntimeError("broken")

    model.fault = fault
    task = make_task()
    task.labels = {"request_id": "r", "generation_id": "g"}
    with caplog.at_level(logging.WARNING):
        [ended] = run_to_end(runtime.engine, [task])
    assert (ended.status, ended.usage and ended.usage.nfe) == ("failed", 0)
    [line] = caplog.records
    assert (vars(line)["request_id"], vars(line)["generation_id"]) == ("r", "g")


def test_without_a_port_nothing_listens(runtime: Runtime, settings: Settings) -> None:
    assert serve(settings, runtime) is None


def test_a_port_that_is_taken_is_named(runtime: Runtime, settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"GUIDEPOST_METRICS_PORT = {port} on 127.0.0.1: Address already in use"):
            serve(settings.model_copy(update={"metrics_port": port}), runtime)
