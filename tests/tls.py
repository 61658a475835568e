"""TLS for tests: an authority of their own, and an endpoint in front of a server that speaks none."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from anyio import BrokenResourceError, EndOfStream, connect_unix, create_task_group, create_tcp_listener
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.from_thread import start_blocking_portal
from anyio.streams.tls import TLSStream
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

GONE = (OSError, BrokenResourceError, EndOfStream)


class Authority:
    """Signs certificates; `path` is its own, which whoever trusts it is given."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        made = self._builder(self._name, self._key.public_key()).add_extension(x509.BasicConstraints(True, 0), True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(made.add_extension(usage, True).sign(self._key, SHA256()).public_bytes(Encoding.PEM))

    def issue(self, name: str) -> Path:
        """A file with a key and its certificate, for a server called `name` or a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        made = self._builder(subject, key.public_key()).add_extension(names, False).sign(self._key, SHA256())
        path = self.folder / f"{name}.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(secret + made.public_bytes(Encoding.PEM))
        return path

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(self._name, subject, key, x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        ours = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return builder.add_extension(ours, False).add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)


@contextmanager
def in_front_of(unix_socket: Path, certificate: Path, clients: Path | None = None) -> Iterator[int]:
    """A port of the loopback where TLS ends before the server at `unix_socket`. With `clients` a client needs a
    certificate that this authority signed.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED

    async def serve(connection: SocketStream) -> None:
        async with connection:
            with suppress(*GONE):  # no server there, or a client that is not let in: it is hung up on
                outer = await TLSStream.wrap(connection, ssl_context=context, standard_compatible=False)
                async with outer, await connect_unix(unix_socket) as inner:
                    await _join(outer, inner)

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(_listening(serve)) as port:
        yield port


@asynccontextmanager
async def _listening(serve: Callable[[SocketStream], Awaitable[None]]) -> AsyncIterator[int]:
    """At the end it takes no connection, and has closed those there were before its loop ends: asyncio's own server
    leaves them to the collector.
    """
    async with await create_tcp_listener(local_host="127.0.0.1") as listener, create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield listener.extra(SocketAttribute.local_port)
        group.cancel_scope.cancel()


async def _join(one: ByteStream, other: ByteStream) -> None:
    """Pass on what each says until one has no more to say."""
    async with create_task_group() as group:

        async def pump(source: ByteStream, sink: ByteStream) -> None:
            with suppress(*GONE):
                async for data in source:
                    await sink.send(data)
            group.cancel_scope.cancel()

        group.start_soon(pump, one, other)
        group.start_soon(pump, other, one)
