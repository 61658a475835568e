"""Posting to hosts that clients name: only at addresses that were checked, and only for so long."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from ipaddress import ip_address
from time import monotonic
from typing import Any

import httpcore
import httpx

from jobs.addresses import Address, Allowed
from jobs.deliveries import Outcome

log = logging.getLogger("guidepost.webhooks")

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0
GONE = 410
Resolve = Callable[[str, int], list[Address]]


class RefusedAddress(Exception):
    """The host has an address that the service does not send to."""


def resolve(host: str, port: int) -> list[Address]:
    """Every address of the host."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error
    return [ip_address(entry[4][0]) for entry in found]


def post(url: str, body: str, headers: Mapping[str, str], allowed: Allowed, resolve: Resolve = resolve) -> Outcome:
    """Post it once. Redirects are not followed, proxies of the environment not used, the answer's body not read."""
    target = httpx.URL(url)
    backend = Outbound(allowed, TOTAL_SECONDS, resolve)
    try:
        with (
            httpcore.ConnectionPool(ssl_context=_trust(), network_backend=backend) as pool,
            pool.stream(
                "POST",
                httpcore.URL(scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path),
                headers=[("Host", target.netloc.decode()), *headers.items()],
                content=body.encode(),
            ) as response,
        ):
            return _outcome(response)
    except RefusedAddress as error:
        log.warning("a webhook was not sent: %s, which GUIDEPOST_WEBHOOK_ALLOW does not list", error)
        return Outcome("refused_address", final=True)
    except httpcore.TimeoutException:
        return Outcome("timeout")
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError):
        return Outcome("unreachable")


def _outcome(response: httpcore.Response) -> Outcome:
    if response.status // 100 == 2:
        return Outcome(status=response.status)
    if response.status == GONE:
        return Outcome("gone", response.status, final=True)
    answered = {name.lower(): value for name, value in response.headers}
    wait = retry_after(answered.get(b"retry-after", b"").decode("latin-1"))
    return Outcome("http_status", response.status, retry_after=wait)


def retry_after(text: str) -> float:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3); 0 when there is none, or none that can be read."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text).astimezone(UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return 0.0


@cache
def _trust() -> ssl.SSLContext:
    """certifi's authorities, or those that SSL_CERT_FILE names. Made once, when first needed."""
    return httpx.create_ssl_context()


class Outbound(httpcore.NetworkBackend):
    """One connection. A name is looked up once, all its addresses must pass, and the connection goes to one of these:
    whoever answers for the name cannot answer differently the second time. TLS and HTTP see the name alone.

    Everything together ends within `seconds`, however slowly the other side sends.
    """

    def __init__(self, allowed: Allowed, seconds: float, resolve: Resolve = resolve) -> None:
        self.allowed = allowed
        self.deadline = monotonic() + seconds
        self.resolve = resolve
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self.resolve(host, port)
        for address in addresses:
            if not self.allowed.permits(host, address):
                raise RefusedAddress(f"{host} has the address {address}")
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            seconds = min(CONNECT_SECONDS, _left(self.deadline))
            try:
                return _Timed(self._backend.connect_tcp(str(address), port, seconds), self.deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _Timed(httpcore.NetworkStream):
    """A stream whose every operation ends by the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self.stream, self.deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes, _left(self.deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.stream.write(buffer, _left(self.deadline))

    def close(self) -> None:
        self.stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self.stream.start_tls(ssl_context, server_hostname, _left(self.deadline))
        return _Timed(secured, self.deadline)

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)


def _left(deadline: float) -> float:
    seconds = deadline - monotonic()
    if seconds <= 0:
        raise httpcore.ReadTimeout("the time for this exchange is over")
    return seconds
