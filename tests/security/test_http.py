"""What the gateway tells browsers, whom it answers without a key, and how long it waits for slow clients."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

import httpx
import pytest
import redis
import uvicorn
from starlette.testclient import TestClient
from starlette.types import Message

from jobs.api_keys import ApiKeyStore
from jobs.presence import Presence
from jobs.settings import Settings
from service import server
from service.app import create_app
from service.middleware import BodyLimit
from tests.jobs.requests import TEXT

pytestmark = pytest.mark.redis

ASKED = {"prompt": "a red circle"}
ELSEWHERE = "https://elsewhere.example"


@pytest.fixture
def gateway(connection: redis.Redis, settings: Settings) -> TestClient:
    Presence(connection, "worker", ttl=600).renew([TEXT])
    return TestClient(create_app(settings), base_url="http://localhost")


@pytest.fixture
def port(connection: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Of a gateway as `guidepost serve` runs it, less patient."""
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.2)
    listener = socket.create_server(("127.0.0.1", 0))
    running = uvicorn.Server(server.config(create_app(settings)))
    thread = threading.Thread(target=running.run, args=([listener],))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        running.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive()


@pytest.mark.parametrize("path", ["/v1/generations", "/v1/nothing", "/livez", "/openapi.json", "/docs"])
def test_browsers_take_every_answer_for_what_it_says_it_is(gateway: TestClient, path: str) -> None:
    headers = gateway.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert ("script-src" in headers["Content-Security-Policy"]) == (path == "/docs")


def test_every_host_that_the_documentation_loads_from_is_in_its_policy(gateway: TestClient) -> None:
    for path in ("/docs", "/redoc"):
        page = gateway.get(path)
        loaded = {word.split('"')[0].split("/")[2] for word in page.text.split('="')[1:] if word.startswith("https://")}
        assert loaded and all(f"https://{host}" in page.headers["Content-Security-Policy"] for host in loaded)


def test_pages_of_others_are_given_no_leave_to_ask(gateway: TestClient) -> None:
    asking = {"Origin": ELSEWHERE, "Access-Control-Request-Method": "POST"}
    answers = [
        gateway.options("/v1/generations", headers=asking | {"Access-Control-Request-Headers": "content-type"}),
        gateway.get("/v1/generations", headers={"Origin": ELSEWHERE}),
    ]
    for answer in answers:
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_what_a_page_may_post_unasked_is_not_read(gateway: TestClient, type: str | None) -> None:
    headers = {"Origin": ELSEWHERE} | ({"Content-Type": type} if type else {})
    for path in ("/v1/generations", "/v1/comparisons", "/v1/images/generations"):
        assert gateway.post(path, content=json.dumps(ASKED), headers=headers).status_code in (400, 415)
    assert gateway.get("/v1/generations").json()["data"] == []


@pytest.mark.parametrize(
    "host", ["rebound.example:80", "127.0.0.1.rebound.example", "localhost.rebound.example", "a.b["]
)
def test_without_a_key_a_name_that_anybody_may_have_is_refused(gateway: TestClient, host: str) -> None:
    answer = gateway.get("/v1/generations", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_host")
    assert gateway.get("/livez", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "app.localhost", "gateway:8000", ""])
def test_without_a_key_names_of_this_machine_are_answered(gateway: TestClient, host: str) -> None:
    assert gateway.get("/v1/generations", headers={"Host": host}).status_code == 200


def test_names_are_not_asked_for_where_a_key_is_or_where_all_are_welcome(
    connection: redis.Redis, settings: Settings
) -> None:
    named = settings.model_copy(update={"public_url": "https://pictures.example/api"})
    welcoming = settings.model_copy(update={"open": True})
    headers = {"Host": "pictures.example"}
    for kind in (named, welcoming):
        assert TestClient(create_app(kind)).get("/v1/generations", headers=headers).status_code == 200
    _, token = ApiKeyStore(connection).create()
    headers["Authorization"] = f"Bearer {token}"
    assert TestClient(create_app(settings)).get("/v1/generations", headers=headers).status_code == 200


@pytest.mark.parametrize("before", [b"", b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"], ids=["first", "second"])
@pytest.mark.parametrize("said", [b"G", b"GET /livez HTTP/1.1\r\nHost: a\r\n"])
def test_who_does_not_finish_the_head_of_a_request_is_hung_up_on(port: int, before: bytes, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        if before:
            client.sendall(before)
            answer = HTTPResponse(client)
            answer.begin()
            assert (answer.status, bool(answer.read())) == (200, True)
        client.sendall(said)
        assert client.recv(4096) == b""
    assert httpx.get(f"http://127.0.0.1:{port}/livez").status_code == 200


def test_who_says_nothing_is_hung_up_on(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        assert client.recv(4096) == b""


def test_a_head_that_is_too_large_is_refused_and_others_are_served(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2**17)
        assert client.recv(4096).startswith(b"HTTP/1.1 400 ")
    assert httpx.get(f"http://127.0.0.1:{port}/livez").status_code == 200


def test_a_body_that_does_not_come_is_given_up() -> None:
    said: list[Message] = []

    async def never(*_: Any) -> Any:
        await asyncio.Event().wait()

    async def send(message: Message) -> None:
        said.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/generations", "headers": [], "query_string": b""}
    asyncio.run(BodyLimit(never, 1024, seconds=0.01)(scope | {"state": {}}, never, send))
    assert said[0]["status"] == 408
    assert json.loads(said[1]["body"])["code"] == "body_too_slow"
