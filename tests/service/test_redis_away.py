"""Redis goes away and comes back; the gateway answers all the while, and needs no help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from jobs.connection import connect
from jobs.embedded import EmbeddedRedis
from jobs.presence import Presence
from jobs.settings import Settings
from service.app import create_app
from service.openai.stream import image_stream
from service.sse import stream
from service.waiting import ended
from tests.jobs.requests import TEXT
from tests.service.test_generations import ASKED, post
from tests.service.test_problems import problem


@dataclass
class House:
    """A gateway and a Redis of its own."""

    redis: EmbeddedRedis
    app: FastAPI
    client: TestClient

    def worker_comes(self) -> None:
        with connect(self.app.state.gateway.settings) as connection:
            Presence(connection, "worker", ttl=600).renew([TEXT])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with EmbeddedRedis(tmp_path) as redis:
        app = create_app(Settings(redis_url=redis.url, data_dir=tmp_path))
        with TestClient(app) as client:
            house = House(redis, app, client)
            house.worker_comes()
            yield house


def test_every_route_that_needs_redis_says_503(house: House) -> None:
    job = post(house.client)
    house.redis.stop()
    house.app.state.gateway.workers.forget()
    links, image = job["links"], f"/v1/generations/{job['id']}/images/0"
    for path in ("/v1/generations", "/v1/models", links["self"], links["events"], links["diagnostics"], image):
        response = house.client.get(path)
        problem(response, 503, "redis_away")
        assert int(response.headers["Retry-After"]) > 0
    problem(house.client.post(links["cancel"]), 503, "redis_away")
    problem(house.client.post("/v1/generations", json=ASKED), 503, "redis_away")


def test_what_needs_no_redis_goes_on(house: House) -> None:
    assert house.client.get("/v1/guidance").status_code == 200
    house.redis.stop()
    house.app.state.gateway.keys.forget()
    assert house.client.get("/livez").status_code == 200
    assert house.client.get("/v1/guidance").status_code == 200
    assert house.client.get("/openapi.json").status_code == 200
    assert "guidepost_redis_up 0.0" in house.client.get("/metrics").text
    ready = house.client.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["redis"]["ok"]) == (503, False)


def test_a_gateway_that_never_knew_the_keys_lets_nobody_in(house: House) -> None:
    house.redis.stop()
    response = house.client.get("/v1/guidance")
    problem(response, 503, "redis_away")
    assert int(response.headers["Retry-After"]) > 0
    assert house.client.get("/livez").status_code == 200


def test_it_recovers_by_itself_and_nothing_accepted_is_missing(house: House) -> None:
    job = post(house.client)
    house.redis.stop()
    assert house.client.get(job["links"]["self"]).status_code == 503
    house.redis.start()
    house.worker_comes()
    assert house.client.get(job["links"]["self"]).json()["status"] == "queued"
    assert post(house.client)["progress"]["queue_position"] == 1
    assert house.client.get("/readyz").status_code == 200


def test_a_wait_that_loses_redis_still_answers_with_the_job(house: House) -> None:
    record = house.app.state.gateway.store.get(post(house.client)["id"])
    house.redis.stop()
    assert house.client.portal is not None
    assert house.client.portal.call(ended, house.app.state.gateway, record, 60) == record


def test_a_stream_ends_when_redis_goes_so_that_the_client_comes_back(house: House) -> None:
    record = house.app.state.gateway.store.get(post(house.client)["id"])

    async def follow() -> list[str]:
        lines = []
        async for line in stream(house.app.state.gateway, record, 0):
            lines.append(line)
            house.redis.stop()
        return lines

    assert house.client.portal is not None
    assert house.client.portal.call(follow) == ["retry: 2000\n\n"]


def test_openais_clients_are_told_in_their_own_shape(house: House) -> None:
    record = house.app.state.gateway.store.get(post(house.client)["id"])
    house.redis.stop()

    async def follow() -> list[str]:
        return [line async for line in image_stream(house.app.state.gateway, record, keep=False)]

    assert house.client.portal is not None
    [line] = house.client.portal.call(follow)
    assert line.startswith("event: error\n") and '"code":"redis_away"' in line
    house.app.state.gateway.workers.forget()
    response = house.client.post("/v1/images/generations", json={"prompt": "a red circle"})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "redis_away")
    assert int(response.headers["Retry-After"]) > 0
