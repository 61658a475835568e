"""A Redis behind TLS that knows its clients: what may connect, and how."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from starlette.testclient import TestClient

from jobs import queue
from jobs.connection import AWAY, connect, connect_async, connect_blocking
from jobs.settings import Settings
from service.app import create_app
from tests.security.conftest import MAY, USER, Secured
from tests.tls import Authority
from workers import perform

pytestmark = pytest.mark.redis


def in_threads(settings: Settings) -> bool:
    with connect(settings) as client:
        return bool(client.ping())


def blocking(settings: Settings) -> bool:
    """As RQ has it."""
    with connect_blocking(settings, 1) as client:
        return bool(client.ping()) and queue.queue(client).count == 0


def in_asyncio(settings: Settings) -> bool:
    selector = selectors.DefaultSelector()

    async def ping() -> bool:
        async with connect_async(settings) as client:
            return bool(await client.ping())

    async def disconnected() -> None:
        while len(selector.get_map()) > 1:  # one is the loop's own
            await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        try:
            return runner.run(ping())
        finally:
            runner.run(disconnected())  # redis-py does not wait for the end of TLS on a connection that was refused


ROOT = Path(__file__).parents[2]
KINDS = [in_threads, blocking, in_asyncio]
Kind = Callable[[Settings], bool]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_connection_speaks_tls_with_a_certificate_and_a_password(secured: Secured, kind: Kind) -> None:
    assert kind(Settings(redis_url=secured.url()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_nobody_vouches_for_is_not_told_the_password(
    secured: Secured, kind: Kind, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    with pytest.raises(AWAY, match="CERTIFICATE_VERIFY_FAILED"):
        kind(Settings(redis_url=secured.url(ssl_ca_certs=str(stranger.path))))


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_of_another_name_is_refused(secured: Secured, kind: Kind) -> None:
    with pytest.raises(AWAY, match="CERTIFICATE_VERIFY_FAILED"):
        kind(Settings(redis_url=secured.url().replace("@localhost:", "@127.0.0.1:")))


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_certificate_of_its_own_nobody_comes_in(secured: Secured, kind: Kind) -> None:
    with pytest.raises(AWAY):
        kind(Settings(redis_url=secured.url(ssl_certfile="", ssl_keyfile="")))


@pytest.mark.parametrize("kind", KINDS)
def test_nor_without_the_password(secured: Secured, kind: Kind) -> None:
    with pytest.raises(redis.AuthenticationError):
        kind(Settings(redis_url=secured.url("wrong")))


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("rediss://:hunter2@host?ssl_ca_cert=ca.pem", "ssl_ca_cert"),
        ("redis://:hunter2@host?ssl_ca_certs=ca.pem", "ssl_ca_certs"),
        ("rediss://:hunter2@host?ssl_cert_reqs=perhaps", "perhaps"),
        ("redis://:hunter2@host?db=first", "db"),
    ],
)
def test_an_option_that_there_is_not_is_named_before_anything_is_connected(url: str, named: str) -> None:
    with pytest.raises(ValueError, match=f"GUIDEPOST_REDIS_URL: .*{named}") as refused:
        connect(Settings(redis_url=url))
    assert "hunter2" not in str(refused.value)


def test_the_service_may_not_do_what_it_does_not_need(secured: Secured) -> None:
    with connect(Settings(redis_url=secured.url())) as client:
        for command in (["FLUSHALL"], ["CONFIG", "GET", "dir"], ["SET", "others", "1"], ["DEBUG", "SLEEP", "0"]):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)


def test_a_gateway_that_is_not_let_in_says_why_in_its_log_alone(
    secured: Secured, caplog: pytest.LogCaptureFixture
) -> None:
    answer = TestClient(create_app(Settings(redis_url=secured.url("hunter3")))).get("/v1/generations")
    assert answer.status_code == 503 and "password" not in answer.text
    assert "Redis is away: invalid username-password pair" in caplog.text
    assert "hunter3" not in caplog.text


def test_a_worker_that_is_not_let_in_waits_and_says_why_once(
    secured: Secured, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perform, "REDIS_RETRY_SECONDS", 0)
    wrong, right = (Settings(redis_url=secured.url(*password)) for password in (["hunter3"], []))
    tries = iter([wrong, wrong, right])
    assert perform.insist(lambda: in_threads(next(tries)))
    assert caplog.text.count("Redis is away: invalid username-password pair") == 1


def test_the_rights_that_the_page_names_are_those_that_are_tested() -> None:
    assert f"ACL SETUSER {USER} on >PASSWORD {MAY}\n" in (ROOT / "docs" / "security.md").read_text()
