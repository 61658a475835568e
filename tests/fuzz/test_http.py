"""Whatever is sent over HTTP, the answer is one that the API knows: nothing breaks, what is refused is a problem."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from jobs.presence import Presence
from jobs.settings import Settings
from service.app import create_app
from service.problems import MEDIA_TYPE
from tests.fuzz.examples import BODIES, COMPARISONS, HEADERS, JSON, fuzzed, mutated
from tests.jobs.requests import LABELS, TEXT

ROUTES = ["/v1/generations", "/v1/comparisons", "/v1/guidance/validate", "/v1/generations/x/cancel", "/v1/nothing"]
BYTES = (JSON | mutated([*BODIES, *COMPARISONS])).map(lambda body: json.dumps(body).encode()) | st.binary(max_size=80)
NAMES = ["Accept", "Cancel-After", "Idempotency-Key", "If-None-Match", "Last-Event-ID", "Content-Type", "Authorization"]
NAMES += ["traceparent", "tracestate", "X-Request-Id", "Content-Length", "Host", "Cookie"]
FIELDS = st.dictionaries(st.sampled_from(NAMES), HEADERS.map(lambda value: value.encode("latin-1")), max_size=3)
TEXT_IN_URL = st.text(max_size=30)


@pytest.fixture
def client(connection: redis.Redis, settings: Settings) -> Iterator[TestClient]:
    """One that raises what a route raises and nobody turned into an answer."""
    Presence(connection, "worker", ttl=600).renew([TEXT, LABELS])
    yield TestClient(create_app(settings.model_copy(update={"max_queue": 10**6})))


def check(response: Any) -> None:
    assert response.status_code < 500, response.text
    assert response.headers["X-Request-Id"]
    if response.status_code >= 400:
        assert response.headers["Content-Type"] == MEDIA_TYPE
        problem = response.json()
        assert problem["status"] == response.status_code and problem["code"] and problem["detail"]


@fuzzed
@given(route=st.sampled_from(ROUTES), body=BYTES, headers=FIELDS)
def test_what_is_posted_is_accepted_or_refused(client: TestClient, route: str, body: bytes, headers: Any) -> None:
    check(client.post(route, content=body, headers={"Content-Type": "application/json"} | headers))


@fuzzed
@given(id=TEXT_IN_URL, rest=st.sampled_from(["", "/events", "/images/0", "/diagnostics", "/x"]), headers=FIELDS)
def test_whatever_is_looked_up_is_found_or_is_not(client: TestClient, id: str, rest: str, headers: Any) -> None:
    check(client.get(f"/v1/generations/{quote(id, safe='')}{rest}", headers=headers))


@fuzzed
@given(
    route=st.sampled_from(["/v1/generations", "/v1/comparisons", "/v1/models", "/v1/guidance"]),
    query=st.dictionaries(st.sampled_from(["after", "limit", "status", "wait", "x"]), TEXT_IN_URL, max_size=3),
)
def test_a_list_is_paged_or_its_query_refused(client: TestClient, route: str, query: dict[str, str]) -> None:
    check(client.get(route, params=query))
