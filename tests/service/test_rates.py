"""How often, how many at once, how much a day; and when to come back."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from fastapi import FastAPI
from starlette.testclient import TestClient

from jobs import keys
from jobs.api_keys import ApiKeyStore
from jobs.cost import Pace
from jobs.presence import Presence
from jobs.record import Status
from jobs.settings import Settings
from jobs.store import JobStore
from service.app import create_app
from tests.jobs.requests import TEXT
from tests.service.stand_in import StandIn
from tests.service.test_access import LIST, bearer
from tests.service.test_comparisons import ASKED as COMPARED
from tests.service.test_generations import ASKED, post
from tests.service.test_problems import problem

PACE = Pace(model="shapes", pixels=4096, forward=1.6, row=0.3, most=16)
SPEED = PACE.rate


class Clock:
    """In place of the module `time`, for whoever counts requests."""

    def __init__(self) -> None:
        self.now = 1_000_000.25

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in ("limits.storage.redis", "service.rates"):
        monkeypatch.setattr(f"{module}.time", clock)
    return clock


@pytest.fixture
def fast(store: JobStore) -> None:
    """A worker that has shown how fast it is."""
    Presence(store.redis, "worker", ttl=600).renew([TEXT], paces=[PACE])


def retry_after(response: Any) -> int:
    return int(response.headers["Retry-After"])


def test_429_when_the_minute_is_full_and_it_says_when_it_is_not(
    client: TestClient, api_keys: ApiKeyStore, clock: Clock
) -> None:
    _, token = api_keys.create(rate=3)
    for remaining in (2, 1, 0):
        response = client.get(LIST, headers=bearer(token))
        assert response.status_code == 200
        assert response.headers["RateLimit-Policy"] == '"minute";q=3;w=60'
        assert response.headers["RateLimit"].startswith(f'"minute";r={remaining};t=')
        clock.now += 10
    response = client.get(LIST, headers=bearer(token))
    assert problem(response, 429, "rate_limited")["detail"] == "this key may make 3 requests in 60 s"
    assert retry_after(response) == 31  # the first one came 30 s ago
    assert response.headers["RateLimit"] == '"minute";r=0;t=31'
    clock.now += 29
    assert client.get(LIST, headers=bearer(token)).status_code == 429
    clock.now += 2
    assert client.get(LIST, headers=bearer(token)).status_code == 200
    assert client.get(LIST, headers=bearer(token)).status_code == 429


def test_429_when_too_many_come_at_once(client: TestClient, api_keys: ApiKeyStore, clock: Clock) -> None:
    _, token = api_keys.create(rate=100, burst=2)
    for _ in range(2):
        assert client.get(LIST, headers=bearer(token)).status_code == 200
    response = client.get(LIST, headers=bearer(token))
    problem(response, 429, "rate_limited")
    assert response.headers["RateLimit-Policy"] == '"minute";q=100;w=60, "burst";q=2;w=1'
    clock.now += retry_after(response)
    assert client.get(LIST, headers=bearer(token)).status_code == 200


def test_a_rate_is_one_over_all_gateways_and_of_one_key(
    client: TestClient, settings: Settings, api_keys: ApiKeyStore, clock: Clock
) -> None:
    (_, token), (_, another) = api_keys.create(rate=2, tenant="t"), api_keys.create(rate=2, tenant="t")
    with TestClient(create_app(settings)) as second:
        assert [c.get(LIST, headers=bearer(token)).status_code for c in (client, second, client)] == [200, 200, 429]
    assert client.get(LIST, headers=bearer(another)).status_code == 200


def test_who_is_refused_for_another_reason_uses_no_rate_up(
    client: TestClient, api_keys: ApiKeyStore, clock: Clock
) -> None:
    _, token = api_keys.create(rate=1, scopes=["read"])
    assert client.post(LIST, json=ASKED, headers=bearer(token)).status_code == 403
    assert client.get(LIST, headers=bearer(token)).status_code == 200


def test_a_key_without_a_rate_has_no_such_header(client: TestClient, api_keys: ApiKeyStore) -> None:
    _, token = api_keys.create()
    assert not [name for name in client.get(LIST, headers=bearer(token)).headers if name.startswith("ratelimit")]


def test_503_a_full_queue_says_when_there_is_room_again(settings: Settings, store: JobStore, fast: None) -> None:
    with TestClient(create_app(settings.model_copy(update={"max_queue": 3}))) as client:
        small, large, _ = post(client), post(client, n=8), post(client)
        response = client.post(LIST, json=ASKED)
        assert problem(response, 503, "queue_full")["detail"] == "3 generations wait, and 3 may"
        waiting = 2 * small["progress"]["nfe_total"] + large["progress"]["nfe_total"]
        assert retry_after(response) == math.ceil(waiting // 3 / SPEED)  # one of three leaves, of the mean size


def test_503_a_queue_full_of_evaluations_says_when_there_is_room_again(
    settings: Settings, store: JobStore, fast: None
) -> None:
    with TestClient(create_app(settings)) as client:
        nfe: int = post(client)["progress"]["nfe_total"]
    with TestClient(create_app(settings.model_copy(update={"max_queue_evaluations": 2 * nfe + 5}))) as client:
        post(client)
        response = client.post(LIST, json=ASKED)
        assert f"this request needs {nfe}" in problem(response, 503, "queue_full")["detail"]
        assert retry_after(response) == math.ceil((nfe - 5) / SPEED)
        larger = client.post(LIST, json=ASKED | {"n": 8})  # than the bound: let in when nothing waits
        assert retry_after(larger) == math.ceil(2 * nfe / SPEED)


def test_429_too_many_under_way_says_when_one_of_them_ends(
    client: TestClient, api_keys: ApiKeyStore, store: JobStore, worker: StandIn, fast: None
) -> None:
    client.app.state.gateway.workers.forget()  # type: ignore[attr-defined]
    _, token = api_keys.create(max_active=2)
    headers = bearer(token)
    jobs = [client.post(LIST, json=ASKED, headers=headers).json() for _ in range(2)]
    nfe = jobs[0]["progress"]["nfe_total"]
    response = client.post(LIST, json=ASKED, headers=headers)
    detail = problem(response, 429, "too_many_active")["detail"]
    assert detail == "2 generations are queued or running, and 2 may"
    assert retry_after(response) == math.ceil(2 * nfe / SPEED)  # all that waits
    attempt = worker.start(jobs[0]["id"])
    worker.step(jobs[0]["id"], attempt, 1)
    assert retry_after(client.post(LIST, json=ASKED, headers=headers)) == math.ceil(
        (6 - 2) / SPEED
    )  # as its worker reports
    told = {"step": 1, "steps": 3, "nfe_done": 2, "nfe_total": 6}
    store.progress(jobs[0]["id"], attempt.token, **told, seconds_left=(60.0, 900.0))
    crowded = retry_after(client.post(LIST, json=ASKED, headers=headers))  # one waits
    assert 800 < crowded <= 900
    client.post(jobs[1]["links"]["cancel"], headers=headers)
    assert client.post(LIST, json=ASKED, headers=headers).status_code == 202


def test_429_a_spent_quota_says_when_it_renews(
    client: TestClient, api_keys: ApiKeyStore, connection: redis.Redis
) -> None:
    nfe = post_with(client, api_keys.create()[1])["progress"]["nfe_total"]
    key, token = api_keys.create(quota=2 * nfe - 1)
    _, same_tenant = api_keys.create(quota=2 * nfe - 1, tenant=key.tenant)
    post_with(client, token)
    before, _ = connection.time()
    response = client.post(LIST, json=ASKED, headers=bearer(same_tenant))
    after, _ = connection.time()
    detail = f"{nfe} of {2 * nfe - 1} network evaluations of today (UTC) are spent; this needs {nfe}"
    assert problem(response, 429, "quota_exceeded")["detail"] == detail
    renews = (before // 86_400 + 1) * 86_400
    assert renews - after - 1 <= retry_after(response) <= renews - before
    assert client.post("/v1/guidance/validate", json={}, headers=bearer(token)).status_code == 200
    connection.delete(keys.quota(key.tenant))  # midnight
    post_with(client, token)


def test_422_what_no_day_s_quota_allows_is_not_worth_coming_back_for(client: TestClient, api_keys: ApiKeyStore) -> None:
    _, token = api_keys.create(quota=1)
    [error] = problem(client.post(LIST, json=ASKED, headers=bearer(token)), 422, "unsupported")["errors"]
    assert error["code"] == "exceeds_quota"


def test_422_a_comparison_of_more_than_may_be_under_way(client: TestClient, api_keys: ApiKeyStore) -> None:
    _, token = api_keys.create(max_active=1)
    response = client.post("/v1/comparisons", json=COMPARED, headers=bearer(token))
    [error] = problem(response, 422, "unsupported")["errors"]
    assert error["code"] == "exceeds_max_active"


def test_a_hundred_at_once_do_not_pass_a_quota(
    client: TestClient, app: FastAPI, api_keys: ApiKeyStore, store: JobStore, connection: redis.Redis
) -> None:
    nfe = post_with(client, api_keys.create()[1])["progress"]["nfe_total"]
    key, token = api_keys.create(quota=10 * nfe + 1)
    app.state.gateway.keys.keep = 60.0
    app.state.gateway.keys.forget()
    with ThreadPoolExecutor(20) as pool:
        statuses = list(
            pool.map(lambda _: client.post(LIST, json=ASKED, headers=bearer(token)).status_code, range(100))
        )
    assert sorted(statuses) == [202] * 10 + [429] * 90
    assert connection.get(keys.quota(key.tenant)) == str(10 * nfe).encode()
    assert len(store.page(100, status=Status.QUEUED, tenant=key.tenant).records) == 10


def post_with(client: TestClient, token: str) -> dict[str, Any]:
    response = client.post(LIST, json=ASKED, headers=bearer(token))
    assert response.status_code == 202, response.text
    job: dict[str, Any] = response.json()
    return job
