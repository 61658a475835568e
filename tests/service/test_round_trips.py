"""How often a request asks Redis: once. Redis counts, by what it reads from sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import redis
from fastapi import FastAPI
from starlette.testclient import TestClient

from jobs.presence import Presence
from jobs.store import JobStore
from service.app import create_app
from tests.jobs.requests import LABELS, TEXT
from tests.service.test_comparisons import ASKED as COMPARED
from tests.service.test_generations import ASKED

GENERATIONS, COMPARISONS = "/v1/generations", "/v1/comparisons"
TIMES = 3


@pytest.fixture
def app(settings: Any) -> FastAPI:
    """A gateway that asks who works, and which keys there are, once in the test."""
    app = create_app(settings)
    app.state.gateway.workers.keep = app.state.gateway.keys.keep = 3600.0
    return app


@pytest.fixture
def quiet(app: FastAPI, store: JobStore) -> TestClient:
    """A client of it whose housekeeping does not run, after one request of each kind: Redis knows the scripts."""
    Presence(store.redis, "worker", ttl=600).renew([TEXT, LABELS])
    client = TestClient(app)
    for route, asked in ((GENERATIONS, ASKED), (COMPARISONS, COMPARED)):
        made = client.post(route, json=asked)
        assert made.status_code == 202
        assert client.get(made.json()["links"]["self"]).status_code == 200
    return client


def reads(connection: redis.Redis, act: Callable[[], object]) -> int:
    """Round trips that `act` takes."""

    def counted() -> int:
        return cast(int, connection.info("stats")["total_reads_processed"])

    before = counted()
    act()
    return counted() - before - 1


@pytest.mark.parametrize(("route", "asked"), [(GENERATIONS, ASKED), (COMPARISONS, COMPARED)])
def test_a_create_is_one_round_trip(quiet: TestClient, connection: redis.Redis, route: str, asked: Any) -> None:
    def create() -> None:
        for _ in range(TIMES):
            assert quiet.post(route, json=asked).status_code == 202

    assert reads(connection, create) == TIMES


def test_a_create_with_an_idempotency_key_and_a_time_is_one_round_trip(
    quiet: TestClient, connection: redis.Redis
) -> None:
    def create() -> None:
        for number in range(TIMES):
            headers = {"Idempotency-Key": str(number), "Cancel-After": "1h"}
            assert quiet.post(GENERATIONS, json=ASKED, headers=headers).status_code == 202

    assert reads(connection, create) == TIMES


@pytest.mark.parametrize(("route", "asked"), [(GENERATIONS, ASKED), (COMPARISONS, COMPARED)])
def test_a_poll_is_one_round_trip(quiet: TestClient, connection: redis.Redis, route: str, asked: Any) -> None:
    here = quiet.post(route, json=asked).json()["links"]["self"]

    def poll() -> None:
        for _ in range(TIMES):
            assert quiet.get(here).status_code == 200

    assert reads(connection, poll) == TIMES


def test_a_create_shows_what_a_poll_would(quiet: TestClient) -> None:
    for route, asked in ((GENERATIONS, ASKED), (COMPARISONS, COMPARED)):
        made = quiet.post(route, json=asked, headers={"Cancel-After": "1h"}).json()
        assert quiet.get(made["links"]["self"]).json() == made


def test_a_redis_that_forgot_its_scripts_is_told_them_again(quiet: TestClient, connection: redis.Redis) -> None:
    connection.script_flush()
    made = quiet.post(GENERATIONS, json=ASKED)
    assert made.status_code == 202
    connection.script_flush()
    assert quiet.get(made.headers["Location"]).json() == made.json()
