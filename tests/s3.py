"""A real S3 server on loopback, with credentials in the environment as an operator would set them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

REGION = "us-east-1"


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


def environment(port: int) -> dict[str, str]:
    """What makes an S3 client use the server at this port."""
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": REGION}
    return {**keys, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}


@contextmanager
def running_s3(port: int = 0) -> Iterator[int]:
    """Its port. It holds nothing, not even a bucket."""
    from moto.server import ThreadedMotoServer  # slow to import, and few sessions need it

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        yield port
    finally:
        server.stop()


def make_bucket(port: int, name: str) -> None:
    httpx.put(f"http://127.0.0.1:{port}/{name}", trust_env=False).raise_for_status()


def empty(port: int) -> None:
    httpx.post(f"http://127.0.0.1:{port}/moto-api/reset", trust_env=False).raise_for_status()
