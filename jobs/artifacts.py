"""Bytes that generations leave behind: a local folder now, any object store by its URL."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.store import LocalStore, ObjectStore, from_url

CONTENT_TYPES = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg", "json": "application/json"}
"""By the suffix of a key."""


def image_key(id: str, index: int, format: str = "png") -> str:
    """Where image `index` of generation `id` is kept; `format` is png, webp or jpeg."""
    return f"{prefix(id)}/images/{index}.{format}"


def diagnostics_key(id: str) -> str:
    """Where the per-step columns of generation `id` are kept."""
    return f"{prefix(id)}/diagnostics.json"


def picture_key(id: str, index: int, name: str) -> str:
    """Where the picture `name` of image `index`'s diagnostics is kept."""
    return f"{prefix(id)}/diagnostics/{index}/{name}.png"


def sheet_key(id: str, format: str) -> str:
    """Where the contact sheet of comparison `id` is kept; `format` is png, webp or jpeg."""
    return f"{prefix(id)}/sheet.{format}"


def prefix(id: str) -> str:
    """What every key of generation, or comparison, `id` begins with."""
    return f"generations/{id}"


class ArtifactStore:
    """Reads and writes whole artifacts. A write is seen in full or not at all. Opened when first used."""

    def __init__(self, url: str) -> None:
        self.url = url

    @cached_property
    def _store(self) -> ObjectStore:
        return _open(self.url)

    def put(self, key: str, data: bytes) -> None:
        attributes = {} if self.local else {"Content-Type": CONTENT_TYPES[key.rpartition(".")[2]]}
        obstore.put(self._store, key, data, attributes=attributes)

    def get(self, key: str) -> bytes | None:
        """The bytes; None when there are none under this key, or no longer."""
        try:
            return bytes(obstore.get(self._store, key).bytes())
        except FileNotFoundError:
            return None

    def delete(self, prefix: str) -> None:
        """Remove everything whose key lies under the folder `prefix`."""
        keys = [found["path"] for listed in obstore.list(self._store, prefix) for found in listed]
        obstore.delete(self._store, keys)

    @property
    def local(self) -> bool:
        return isinstance(self._store, LocalStore)


def _open(url: str) -> ObjectStore:
    parts = urlsplit(url)
    if parts.scheme != "file":
        return from_url(url)
    folder = Path(unquote(parts.path))
    folder.mkdir(parents=True, exist_ok=True)
    return LocalStore(folder)
