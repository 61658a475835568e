"""A real Redis and a real S3 server for every test that asks for one: started once, emptied before each test."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from jobs.connection import connect
from jobs.embedded import EmbeddedRedis
from jobs.logs import OURS
from jobs.settings import Settings
from jobs.store import JobStore
from tests.s3 import empty, environment, running_s3


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path_factory.mktemp("embedded")) as server:
        yield server


@pytest.fixture
def settings(redis_server: EmbeddedRedis, tmp_path: Path) -> Settings:
    """Every step is an event, a silent stream is soon noticed, and whoever plays a worker need not renew its leases."""
    return Settings(
        redis_url=redis_server.url,
        data_dir=tmp_path,
        step_event_seconds=0,
        heartbeat_seconds=0.05,
        lease_seconds=60,
    )


@pytest.fixture
def connection(settings: Settings) -> Iterator[redis.Redis]:
    with connect(settings) as client:
        client.flushall()
        yield client
        client.flushall()  # an API key that is left would close the service to tests that do not ask for this


@pytest.fixture
def store(connection: redis.Redis, settings: Settings) -> JobStore:
    return JobStore(connection, settings)


@pytest.fixture
def log_stream() -> Iterator[io.StringIO]:
    """For `jobs.logs.configure`; the process logs as before when the test is over."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()  # those that are there when it configures get closed
    levels = {name: logging.getLogger(name).level for name in OURS}
    yield io.StringIO()
    root.handlers[:], root.level = handlers, level
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    logging.captureWarnings(False)
    sys.excepthook, threading.excepthook = hooks


@pytest.fixture(scope="session")
def s3_server() -> Iterator[int]:
    with running_s3() as port:
        yield port


@pytest.fixture
def s3(s3_server: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """The port of an S3 server that holds nothing yet, and which the environment names."""
    empty(s3_server)
    for name, value in environment(s3_server).items():
        monkeypatch.setenv(name, value)
    return s3_server
