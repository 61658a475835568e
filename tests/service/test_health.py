"""Health, readiness, metrics, request ids."""

from __future__ import annotations

from uuid import UUID

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from jobs.store import JobStore
from tests.service.stand_in import StandIn
from tests.service.test_generations import post


def test_alive(client: TestClient) -> None:
    assert client.get("/livez").json() == {"ok": True, "detail": "alive"}


def test_ready_with_redis_and_a_worker(client: TestClient) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "ready": True,
        "checks": {"redis": {"ok": True, "detail": "answers"}, "workers": {"ok": True, "detail": "1 live"}},
    }


def test_not_ready_without_a_worker(app: FastAPI, store: JobStore) -> None:
    with TestClient(app) as client:
        response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "ready": False,
        "checks": {"redis": {"ok": True, "detail": "answers"}, "workers": {"ok": False, "detail": "0 live"}},
    }


def test_metrics_tell_the_state_of_the_service(client: TestClient, worker: StandIn) -> None:
    worker.run(post(client)["id"])
    failed = post(client)["id"]
    worker.fail(failed, worker.start(failed))
    post(client)
    client.get("/v1/generations/unknown")
    lines = client.get("/metrics").text.splitlines()
    for expected in (
        "guidepost_redis_up 1.0",
        "guidepost_workers 1.0",
        'guidepost_generations{status="queued"} 1.0',
        'guidepost_generations_finished_total{status="succeeded"} 1.0',
        'guidepost_generations_failed_total{code="non_finite"} 1.0',
        "guidepost_generations_accepted_total 3.0",
        "guidepost_evaluations_total 12.0",
        'guidepost_http_problems_total{code="not_found"} 1.0',
        'guidepost_http_request_seconds_count{method="POST",route="/v1/generations",status="202"} 3.0',
        'guidepost_http_request_seconds_count{method="GET",route="/v1/generations/{id}",status="404"} 1.0',
    ):
        assert expected in lines, expected


def test_every_response_has_a_request_id(client: TestClient) -> None:
    for path in ("/livez", "/nothing", "/docs", "/openapi.json"):
        assert UUID(client.get(path).headers["X-Request-Id"])


def test_a_request_id_of_the_client_is_kept(client: TestClient) -> None:
    assert client.get("/livez", headers={"X-Request-Id": "mine-1"}).headers["X-Request-Id"] == "mine-1"


@pytest.mark.parametrize("id", ["", "a b", "x" * 129, 'a"b'])
def test_a_request_id_that_is_none_is_replaced(client: TestClient, id: str) -> None:
    assert UUID(client.get("/livez", headers={"X-Request-Id": id}).headers["X-Request-Id"])
