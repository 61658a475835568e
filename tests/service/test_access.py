"""Keys at the door: who is let in, and what the others are told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as running
from hypothesis.strategies import binary, integers, one_of, sampled_from, tuples
from redis.client import Pipeline
from starlette.testclient import TestClient

from jobs.api_keys import ApiKeyStore
from jobs.settings import Settings
from service.access import OPEN
from service.app import create_app
from tests.service.test_generations import ASKED, post
from tests.service.test_problems import problem

LIST = "/v1/generations"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_without_any_key_this_machine_may_ask(client: TestClient, api_keys: ApiKeyStore) -> None:
    assert client.get(LIST).status_code == 200
    assert client.get(LIST, headers=bearer("whatever an SDK sends")).status_code == 200


def test_without_any_key_nobody_else_may(settings: Settings, connection: redis.Redis) -> None:
    reachable = settings.model_copy(update={"host": "0.0.0.0"})
    with TestClient(create_app(reachable)) as client:
        response = client.get(LIST)
        assert "guidepost keys create" in problem(response, 401, "missing_key")["detail"]
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="guidepost"'
        problem(client.get("/metrics"), 401, "missing_key")
    with TestClient(create_app(reachable.model_copy(update={"open": True}))) as client:
        assert client.get(LIST).status_code == 200


@pytest.mark.parametrize("more", [{}, {"open": True}, {"host": "0.0.0.0"}], ids=str)
def test_with_a_key_everyone_needs_one(settings: Settings, connection: redis.Redis, more: dict[str, Any]) -> None:
    _, token = ApiKeyStore(connection).create()
    with TestClient(create_app(settings.model_copy(update=more))) as client:
        problem(client.get(LIST), 401, "missing_key")
        problem(client.get("/v1/nothing"), 401, "missing_key")
        assert client.get(LIST, headers=bearer(token)).status_code == 200
        problem(client.get("/v1/nothing", headers=bearer(token)), 404, "not_found")


@pytest.mark.parametrize("path", sorted(OPEN - {"/redoc"}))
def test_probes_and_documents_need_none(client: TestClient, api_keys: ApiKeyStore, path: str) -> None:
    api_keys.create()
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_name_of_the_scheme_has_no_case(client: TestClient, api_keys: ApiKeyStore, scheme: str) -> None:
    _, token = api_keys.create()
    assert client.get(LIST, headers={"Authorization": f"{scheme} {token}"}).status_code == 200


WRONG: dict[str, Callable[[str], str]] = {
    "another secret": lambda token: token[:-1] + ("0" if token[-1] != "0" else "1"),
    "another id": lambda token: "gp_" + "0" * 12 + token[15:],
    "the id alone": lambda token: token[:15],
    "shorter": lambda token: token[:-1],
    "longer": lambda token: token + "0",
    "in capitals": str.upper,
    "nothing": lambda token: "",
    "twice": lambda token: f"{token} {token}",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_401_what_is_no_key(client: TestClient, api_keys: ApiKeyStore, wrong: str) -> None:
    _, token = api_keys.create()
    response = client.get(LIST, headers=bearer(WRONG[wrong](token)))
    problem(response, 401, "invalid_key")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="guidepost", error="invalid_token"'
    problem(client.get(LIST, headers={"Authorization": f"Basic {token}"}), 401, "invalid_key")


def mangled(token: str, place: int, byte: bytes) -> bytes:
    """The right header with one byte of the key replaced."""
    right = f"Bearer {token}".encode()
    return right[: 7 + place] + byte + right[8 + place :]


@running(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sent=one_of(
        binary(max_size=200),
        tuples(sampled_from([b"Bearer ", b"bearer gp_", b"Bearer gp_000000000000_"]), binary(max_size=100)),
        tuples(integers(0, 79), binary(min_size=1, max_size=1)),
    )
)
def test_nothing_but_the_key_opens_and_nothing_breaks(client: TestClient, api_keys: ApiKeyStore, sent: Any) -> None:
    _, token = api_keys.create()
    if isinstance(sent, tuple):
        sent = mangled(token, *sent) if isinstance(sent[0], int) else b"".join(sent)
    opens = sent.strip() == f"Bearer {token}".encode()  # one byte replaced by itself
    response = client.get(LIST, headers=[(b"Authorization", sent)])
    assert response.status_code == (200 if opens else 401), response.text


def test_a_revoked_key_is_told_so_and_does_not_open_the_service(client: TestClient, api_keys: ApiKeyStore) -> None:
    key, token = api_keys.create()
    assert client.get(LIST, headers=bearer(token)).status_code == 200
    api_keys.revoke(key.id)
    response = client.get(LIST, headers=bearer(token))
    assert problem(response, 401, "invalid_key")["detail"] == "this key is revoked"
    guess = token[:-1] + ("0" if token[-1] != "0" else "1")
    assert "revoked" not in client.get(LIST, headers=bearer(guess)).text
    problem(client.get(LIST), 401, "missing_key")  # the only key is gone: closed, not open


def test_an_expired_key_is_told_so(client: TestClient, api_keys: ApiKeyStore) -> None:
    _, token = api_keys.create(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    response = client.get(LIST, headers=bearer(token))
    assert problem(response, 401, "invalid_key")["detail"] == "this key is expired"
    _, lasting = api_keys.create(expires_at=datetime.now(UTC) + timedelta(days=1))
    assert client.get(LIST, headers=bearer(lasting)).status_code == 200


def test_403_names_the_scope_that_is_missing(client: TestClient, api_keys: ApiKeyStore) -> None:
    tokens = {scope: api_keys.create(scopes=[scope])[1] for scope in ("read", "write", "metrics")}
    asked: dict[str, Callable[[dict[str, str]], Any]] = {
        "read": lambda headers: client.get(LIST, headers=headers),
        "write": lambda headers: client.post(LIST, json=ASKED, headers=headers),
        "metrics": lambda headers: client.get("/metrics", headers=headers),
    }
    for needed, ask in asked.items():
        for scope, token in tokens.items():
            response = ask(bearer(token))
            if scope == needed:
                assert response.is_success
                continue
            assert needed in problem(response, 403, "missing_scope")["detail"]
            challenge = f'Bearer realm="guidepost", error="insufficient_scope", scope="{needed}"'
            assert response.headers["WWW-Authenticate"] == challenge


def test_validating_needs_no_right_to_write(client: TestClient, api_keys: ApiKeyStore) -> None:
    _, token = api_keys.create(scopes=["read"])
    assert client.post("/v1/guidance/validate", json={}, headers=bearer(token)).status_code == 200


@pytest.mark.parametrize("name", ["key", "api_key", "access_token", "a=b&c"])
def test_400_a_key_in_the_url(client: TestClient, api_keys: ApiKeyStore, name: str) -> None:
    _, token = api_keys.create()
    escaped = token.replace("_", "%5F")
    for url in (f"{LIST}?{name}={token}", f"{LIST}?{name}={escaped}"):
        for headers in ({}, bearer(token)):
            response = client.get(url, headers=headers)
            assert token not in str(problem(response, 400, "key_in_url"))


def contents(connection: redis.Redis) -> Iterator[Any]:
    """Everything that this Redis holds."""
    readers: dict[bytes, Callable[[bytes], Any]] = {
        b"string": connection.get,
        b"hash": connection.hgetall,
        b"set": connection.smembers,
        b"list": lambda name: connection.lrange(name, 0, -1),
        b"zset": lambda name: connection.zrange(name, 0, -1),
        b"stream": connection.xrange,
    }
    for name in connection.scan_iter():
        yield name, readers[cast(bytes, connection.type(name))](name)


def test_the_secret_is_neither_in_redis_nor_in_a_log(
    client: TestClient, app: FastAPI, api_keys: ApiKeyStore, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/v1/broken")
    def broken() -> None:
        raise RuntimeError

    caplog.set_level(logging.DEBUG)
    key, token = api_keys.create("laptop", rate=100, quota=10_000)
    secret = token.rpartition("_")[2]
    assert client.post(LIST, json=ASKED, headers=bearer(token) | {"Idempotency-Key": "1"}).status_code == 202
    assert client.get("/v1/broken", headers=bearer(token)).status_code == 500
    client.get(LIST, headers=bearer(token[:-1]))
    assert client.get(f"{LIST}?key={token}").status_code == 400
    held = str(list(contents(api_keys.redis)))
    assert key.id in held and key.sha256 in held
    assert secret not in held and secret[:-1] not in held
    assert "failed" in caplog.text
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("http")]  # the test's client
    assert secret not in str(ours) and secret not in str([record.exc_text for record in caplog.records])


def commands(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What requests send to Redis from now on: a command, or several at once."""
    sent: list[Any] = []
    connection = app.state.gateway.redis
    execute, together = connection.execute_command, Pipeline.execute

    def listening(*arguments: Any, **options: Any) -> Any:
        sent.append(arguments)
        return execute(*arguments, **options)

    def listening_to_several(pipeline: Pipeline, *arguments: Any) -> Any:
        if pipeline.connection_pool is connection.connection_pool:
            sent.append(pipeline.command_stack)
        return together(pipeline, *arguments)

    monkeypatch.setattr(connection, "execute_command", listening)
    monkeypatch.setattr(Pipeline, "execute", listening_to_several)
    return sent


def test_an_authenticated_poll_costs_no_more_round_trips_than_an_open_one(
    client: TestClient, app: FastAPI, api_keys: ApiKeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.state.gateway.keys.keep = 3600.0
    here = post(client)["links"]["self"]
    client.get(here)  # Redis is told the script
    sent = commands(app, monkeypatch)
    client.get(here)
    open_ones = len(sent)
    _, token = api_keys.create()
    app.state.gateway.keys.forget()
    theirs = client.post(LIST, json=ASKED, headers=bearer(token)).json()["links"]["self"]
    sent.clear()
    assert client.get(theirs, headers=bearer(token)).status_code == 200
    assert len(sent) == open_ones == 1


def test_a_revoked_key_stops_within_the_time_that_keys_are_remembered(
    client: TestClient, app: FastAPI, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("service.access.time", SimpleNamespace(monotonic=lambda: now))
    key, token = ApiKeyStore(connection).create()
    assert client.get(LIST, headers=bearer(token)).status_code == 200
    ApiKeyStore(connection).revoke(key.id)
    now += app.state.gateway.keys.keep
    assert app.state.gateway.keys.keep <= 2
    problem(client.get(LIST, headers=bearer(token)), 401, "invalid_key")


def test_the_use_of_a_key_is_noted_once_a_minute(
    client: TestClient, app: FastAPI, api_keys: ApiKeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("service.access.time", SimpleNamespace(monotonic=lambda: now))
    key, token = api_keys.create()
    noted: list[str] = []
    monkeypatch.setattr(app.state.gateway.keys.store, "note_use", noted.append)
    for seconds in (0, 30, 29, 1, 59):
        now += seconds
        client.get(LIST, headers=bearer(token))
    assert noted == [key.id, key.id]


def test_a_key_says_when_it_was_used(client: TestClient, api_keys: ApiKeyStore) -> None:
    key, token = api_keys.create()
    client.get(LIST, headers=bearer(token))
    assert key.id in api_keys.last_used()
