"""Posting to where a client says: never to an address that was not checked, never past the time."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import httpcore
import pytest

from jobs.addresses import Address, Allowed
from jobs.deliveries import Outcome
from service import outbound
from service.outbound import post, retry_after
from tests.service.certificate import certificate
from tests.service.receiver import Receiver, receiving

NOBODY = Allowed()
LOOPBACK = Allowed.parse("127.0.0.1")
REFUSED = Outcome("refused_address", final=True)


def names(*addresses: str) -> outbound.Resolve:
    """A name server for which every name has these addresses."""
    return lambda host, port: [ip_address(address) for address in addresses]


def send(url: str, allowed: Allowed = LOOPBACK, resolve: outbound.Resolve = outbound.resolve) -> Outcome:
    return post(url, "{}", {"Content-Type": "application/json"}, allowed, resolve)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_delivered(receiver: Receiver, status: int) -> None:
    receiver.answer(status)
    assert send(receiver.url) == Outcome(status=status)
    message = receiver.got()
    assert (message.path, message.body) == ("/hook?key=1", b"{}")
    assert message.headers["host"] == receiver.url.split("/")[2]


@pytest.mark.parametrize("status", [304, 400, 404, 429, 500, 503])
def test_any_other_status_is_to_be_tried_again(receiver: Receiver, status: int) -> None:
    receiver.answer(status)
    assert send(receiver.url) == Outcome("http_status", status)


def test_gone_is_final(receiver: Receiver) -> None:
    receiver.answer(410)
    assert send(receiver.url) == Outcome("gone", 410, final=True)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    with receiving() as secret:
        receiver.answer(status, Location=secret.url)
        assert send(receiver.url) == Outcome("http_status", status)
        assert secret.messages.empty()


def test_retry_after_is_read(receiver: Receiver) -> None:
    receiver.answer(503, Retry_After="120")
    assert send(receiver.url).retry_after == 120
    assert retry_after(format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)) == pytest.approx(
        3600, abs=60
    )
    for nonsense in (
        "",
        "soon",
        "-5",
        "1e9",
        "9" * 400,
        "²",
        "Wed, 99 Nov 2026 99:99:99 GMT",
        "Wed, 21 Oct 2015 07:28:00 GMT",
    ):
        assert retry_after(nonsense) == 0


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_the_service_itself_is_not_reached_however_it_is_written(receiver: Receiver, host: str) -> None:
    url = receiver.url.replace("127.0.0.1", host)
    assert send(url, NOBODY) in (REFUSED, Outcome("unreachable"))  # a machine without IPv6 resolves no [::1]
    assert receiver.messages.empty()


@pytest.mark.parametrize(
    "answer", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
)
def test_a_name_of_a_private_address_is_refused(receiver: Receiver, answer: str) -> None:
    url = receiver.url.replace("127.0.0.1", "inside.example")
    assert send(url, NOBODY, names(answer)) == REFUSED
    assert send(url, NOBODY, names("8.8.8.8", answer)) == REFUSED  # one of several is enough
    assert receiver.messages.empty()


def test_a_name_is_looked_up_once_and_what_was_checked_is_connected_to(receiver: Receiver) -> None:
    answers: list[list[Address]] = [[ip_address("127.0.0.1")], [ip_address("169.254.169.254")]]
    url = receiver.url.replace("127.0.0.1", "receiver.example")
    assert send(url, LOOPBACK, lambda host, port: answers.pop(0)) == Outcome(status=204)
    assert len(answers) == 1
    assert receiver.got().headers["host"].startswith("receiver.example:")


def test_further_addresses_are_tried(receiver: Receiver) -> None:
    allowed = Allowed(networks=(ip_network("127.0.0.0/8"), ip_network("::1")))
    assert (
        send(receiver.url.replace("127.0.0.1", "a.example"), allowed, names("::1", "127.0.0.2", "127.0.0.1")).status
        == 204
    )


def test_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert send(receiver.url).status == 204


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert send(f"http://127.0.0.1:{port}/") == Outcome("unreachable")
    assert send("http://a.example/", resolve=names()) == Outcome("unreachable")


@contextmanager
def speaking(*said: bytes) -> Iterator[str]:
    """The URL of a server that says this to whoever connects, and then nothing until they leave."""

    def speak() -> None:
        connection, _ = server.accept()
        with connection:
            for piece in said:
                connection.sendall(piece)
            while connection.recv(65536):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=speak)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        thread.join(30)


def test_a_receiver_that_never_answers_is_left_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "TOTAL_SECONDS", 0.2)
    with speaking() as url:
        assert send(url) == Outcome("timeout")
    with speaking(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Endless: ") as url:
        assert send(url) == Outcome("timeout")


def test_the_time_is_for_everything_together(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))  # each look at it is a second later
    monkeypatch.setattr(outbound, "monotonic", lambda: next(clock))
    monkeypatch.setattr(outbound, "TOTAL_SECONDS", 3)
    with receiving() as receiver:
        assert send(receiver.url) == Outcome("timeout")


def test_the_body_of_an_answer_is_not_waited_for() -> None:
    with speaking(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nx") as url:
        assert send(url) == Outcome(status=200)


@pytest.mark.parametrize(
    "said", [b"not HTTP\r\n\r\n", b"HTTP/1.1 99999 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n\0: x\r\n\r\n", b"\x16\x03"]
)
def test_what_is_no_http_is_no_answer(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "TOTAL_SECONDS", 1)
    with speaking(said) as url:
        assert send(url).error in ("unreachable", "timeout")


def test_tls_is_for_the_name_and_not_for_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = certificate("receiver.example", tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    asked: list[str | None] = []
    server.sni_callback = lambda _, name, __: asked.append(name)
    monkeypatch.setattr(outbound, "_trust", lambda: ssl.create_default_context(cafile=str(path)))
    with receiving(server, "receiver.example") as receiver:
        assert send(receiver.url, LOOPBACK, names("127.0.0.1")) == Outcome(status=204)
        assert send(receiver.url.replace("receiver", "other"), LOOPBACK, names("127.0.0.1")) == Outcome("unreachable")
        assert asked == ["receiver.example", "other.example"]
        monkeypatch.setattr(outbound, "_trust", ssl.create_default_context)
        assert send(receiver.url, LOOPBACK, names("127.0.0.1")) == Outcome("unreachable")  # an unknown authority


def test_a_name_server_that_fails_is_nobody_there() -> None:
    with pytest.raises(httpcore.ConnectError):
        outbound.resolve("a" * 64 + ".example", 443)
