"""Bytes that generations leave behind, in a local folder or in an object store, by its URL.

An S3-compatible store is `s3://bucket/prefix`. Its credentials, region and endpoint are those of AWS's environment
variables: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL, or a role.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store, from_url

from jobs.ids import is_id

if TYPE_CHECKING:
    from obstore.store import BackoffConfig, ClientConfig, RetryConfig

CONTENT_TYPES = {
    "png": "image/png",
    "webp": "image/webp",
    "jpeg": "image/jpeg",
    "json": "application/json",
    "safetensors": "application/octet-stream",
}
"""By the suffix of a key."""
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 20.0
"""How long one answer of an object store is waited for."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(milliseconds=100), timedelta(seconds=5)
"""Between two tries."""
NO_BUCKET = "<Code>NoSuchBucket</Code>"
LINK_SECONDS = 300
"""How long a link to stored bytes works."""


def image_key(id: str, attempt: int, index: int, format: str = "png") -> str:
    """Where image `index` of generation `id` is kept; `format` is png, webp or jpeg.

    Each attempt has a place of its own, as for all that an attempt keeps: one that is over writes over nothing.
    """
    return f"{prefix(id)}/{attempt}/images/{index}.{format}"


def diagnostics_key(id: str, attempt: int) -> str:
    """Where the per-step columns of generation `id` are kept."""
    return f"{prefix(id)}/{attempt}/diagnostics.json"


def picture_key(id: str, attempt: int, index: int, name: str) -> str:
    """Where the picture `name` of image `index`'s diagnostics is kept."""
    return f"{prefix(id)}/{attempt}/diagnostics/{index}/{name}.png"


def checkpoint_key(id: str, attempt: int) -> str:
    """Where it is written how far an attempt of generation `id` is."""
    return f"{prefix(id)}/{attempt}/checkpoint.safetensors"


def sheet_key(id: str, format: str) -> str:
    """Where the contact sheet of comparison `id` is kept; `format` is png, webp or jpeg."""
    return f"{prefix(id)}/sheet.{format}"


ROOT = "generations"


def prefix(id: str) -> str:
    """What every key of generation, or comparison, `id` begins with."""
    return f"{ROOT}/{id}"


class StorageAway(Exception):
    """The store cannot be used now: it is not reached, full, or lacks the bucket or the permission."""


class ArtifactStore:
    """Reads and writes whole artifacts. A write is seen in full or not at all. Opened when first used.

    Everything raises StorageAway while the store cannot be used. An object store that does not answer is asked again
    for `patience` seconds.
    """

    def __init__(self, url: str, patience: float = 3.0) -> None:
        self.url = url
        self.patience = patience

    @cached_property
    def _store(self) -> ObjectStore:
        return _open(self.url, self.patience)

    def put(self, key: str, data: bytes) -> None:
        with _away():
            attributes = {} if self.local else {"Content-Type": CONTENT_TYPES[key.rpartition(".")[2]]}
            obstore.put(self._store, key, data, attributes=attributes)

    def get(self, key: str) -> bytes | None:
        """The bytes; None when there are none under this key, or no longer."""
        with _away():
            try:
                return bytes(obstore.get(self._store, key).bytes())
            except FileNotFoundError as error:
                if NO_BUCKET in str(error):  # S3 answers 404 for this too
                    raise
                return None

    def delete(self, prefix: str) -> None:
        """Remove everything whose key lies under the folder `prefix`."""
        with _away():
            keys = [found["path"] for listed in obstore.list(self._store, prefix) for found in listed]
            obstore.delete(self._store, keys)

    def remove(self, key: str) -> None:
        """Remove what lies under this very key, if anything does."""
        with _away(), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._store, [key])

    def owners(self) -> list[str]:
        """The ids of all generations and comparisons that anything is kept of."""
        with _away():
            folders = obstore.list_with_delimiter(self._store, ROOT)["common_prefixes"]
            return [id for id in (folder.rpartition("/")[2] for folder in folders) if is_id(id)]

    def link(self, key: str, method: Literal["GET", "HEAD"] = "GET") -> str | None:
        """A URL under which anybody may read this key for LINK_SECONDS; None where the store makes none."""
        with _away():
            if not isinstance(self._store, S3Store):
                return None
            return obstore.sign(self._store, method, key, timedelta(seconds=LINK_SECONDS))

    @property
    def local(self) -> bool:
        return isinstance(self._store, LocalStore)


@contextlib.contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        raise StorageAway(str(error).partition("\n")[0]) from error


def _open(url: str, patience: float) -> ObjectStore:
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return from_url(url)
    if parts.scheme != "file":
        return from_url(url, client_options=_client(), retry_config=_retries(patience))
    folder = Path(unquote(parts.path))
    folder.mkdir(parents=True, exist_ok=True)
    return LocalStore(folder, automatic_cleanup=True)  # of folders that hold nothing any more


def _client() -> ClientConfig:
    # Over plain HTTP only where the operator gave such an endpoint; AWS's own are HTTPS.
    connect, answer = timedelta(seconds=CONNECT_SECONDS), timedelta(seconds=ANSWER_SECONDS)
    return {"allow_http": True, "connect_timeout": connect, "timeout": answer}


def _retries(patience: float) -> RetryConfig:
    pauses: BackoffConfig = {"init_backoff": FIRST_PAUSE, "max_backoff": LONGEST_PAUSE, "base": 2}
    return {"max_retries": 10_000, "retry_timeout": timedelta(seconds=patience), "backoff": pauses}
