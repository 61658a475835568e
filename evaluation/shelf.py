"""Arrays kept under the digest of what they came from: what is asked again is not computed again."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = dict[str, Array]

UNREADABLE = (FileNotFoundError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)


def digest(*parts: Any) -> str:
    """Of arrays, bytes and what JSON can hold; where one part ends and the next begins counts."""
    total = sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            said = json.dumps([str(part.dtype), part.shape]).encode()
            data = np.ascontiguousarray(part).tobytes()
        else:
            said = b""
            data = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
        total.update(f"{len(said)},{len(data)};".encode() + said + data)
    return total.hexdigest()


class Shelf:
    """One folder: `<kind>/<digest>.npz`. Several processes may share it: a file is there whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, kind: str, key: str) -> Path:
        return self.folder / kind / key[:2] / f"{key}.npz"

    def has(self, kind: str, key: str) -> bool:
        """Whether a whole file is there, as far as its table of contents shows."""
        try:
            with self.path(kind, key).open("rb") as file, np.load(file, allow_pickle=False):
                return True
        except UNREADABLE:
            return False

    def get(self, kind: str, key: str) -> Arrays | None:
        """What was put there; None where nothing was, or where the disk has damaged it."""
        try:
            with self.path(kind, key).open("rb") as file, np.load(file, allow_pickle=False) as held:
                return dict(held)
        except UNREADABLE:
            return None

    def put(self, kind: str, key: str, arrays: Arrays) -> None:
        path = self.path(kind, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # its stub takes a flag by name, too
        os.replace(temporary, path)

    def kept(self, kind: str, parts: Sequence[Any], make: Callable[[], Arrays]) -> Arrays:
        """What is there under the digest of `parts`, or what `make` makes, which then is."""
        key = digest(*parts)
        if (found := self.get(kind, key)) is None:
            found = make()
            self.put(kind, key, found)
        return found
