"""The same key and body again run nothing twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from jobs.presence import Presence
from jobs.record import Status
from jobs.store import JobStore
from tests.jobs.requests import TEXT
from tests.service.server import serving
from tests.service.test_generations import ASKED
from tests.service.test_problems import problem

KEY = {"Idempotency-Key": "4f2c"}


def test_the_same_key_and_body_give_the_same_generation(client: TestClient, store: JobStore) -> None:
    first = client.post("/v1/generations", json=ASKED, headers=KEY)
    second = client.post("/v1/generations", json=dict(reversed(ASKED.items())), headers=KEY)
    assert "Idempotent-Replayed" not in first.headers
    assert (second.status_code, second.headers["Idempotent-Replayed"]) == (202, "true")
    assert second.json() == first.json()
    assert second.headers["Location"] == first.headers["Location"]
    assert store.counts()[Status.QUEUED] == 1


def test_the_same_key_with_another_body_is_refused(client: TestClient, store: JobStore) -> None:
    client.post("/v1/generations", json=ASKED, headers=KEY)
    response = client.post("/v1/generations", json=ASKED | {"n": 1}, headers=KEY)
    problem(response, 422, "idempotency_key_reused")
    assert store.counts()[Status.QUEUED] == 1


def test_a_refused_request_does_not_use_its_key_up(client: TestClient) -> None:
    assert client.post("/v1/generations", json=ASKED | {"width": 3}, headers=KEY).status_code == 422
    response = client.post("/v1/generations", json=ASKED, headers=KEY)
    assert response.status_code == 202 and "Idempotent-Replayed" not in response.headers


def test_a_replay_is_answered_also_when_no_worker_is_up(app: FastAPI, store: JobStore) -> None:
    worker = Presence(store.redis, "worker", ttl=600)
    worker.renew([TEXT])
    with TestClient(app) as client:
        first = client.post("/v1/generations", json=ASKED, headers=KEY)
        worker.withdraw()
        app.state.gateway.workers.forget()
        assert client.post("/v1/generations", json=ASKED, headers=KEY).json()["id"] == first.json()["id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_a_key_that_is_none_is_refused(client: TestClient, key: str) -> None:
    response = client.post("/v1/generations", json=ASKED, headers={"Idempotency-Key": key})
    [error] = problem(response, 422, "invalid_request")["errors"]
    assert (error["pointer"], error["location"]) == ("/Idempotency-Key", "header")


def test_a_hundred_at_once_with_one_key_make_one_generation(app: FastAPI, store: JobStore) -> None:
    Presence(store.redis, "worker", ttl=600).renew([TEXT])
    with serving(app) as url, httpx.Client(base_url=url, timeout=60) as client, ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: client.post("/v1/generations", json=ASKED, headers=KEY), range(100)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert store.counts()[Status.QUEUED] == 1
    assert len(store.page().records) == 1
