"""What clients and the service said, one entry for each thing said, in memory and as JSON lines."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

UNKNOWN = "unknown"
"""The status that a 404 stands for."""
STORED = "redis"
"""The source of events that were read from Redis, not told to a client."""


def now() -> float:
    """Seconds, by one clock for all entries of a history."""
    return time.monotonic()


@dataclass(frozen=True)
class Accepted:
    """A create that was answered with a generation. Times are those of the question and of the answer."""

    asked: float
    answered: float
    id: str
    request: str
    """Name of what was asked for."""
    key: str | None = None
    """The Idempotency-Key."""


@dataclass(frozen=True)
class Answered:
    """The generation as an answer showed it, or that there is none."""

    asked: float
    answered: float
    id: str
    status: str
    attempts: int = 0
    images: tuple[str, ...] = ()
    """sha256 of the files."""
    error: str | None = None


@dataclass(frozen=True)
class Told:
    """An event that a client received, or that lies in Redis."""

    id: str
    seq: int
    type: str
    source: str
    """Which stream told it: events of one source are in the order in which they came."""
    status: str | None = None
    attempts: int | None = None


@dataclass(frozen=True)
class Fetched:
    """The bytes of one image."""

    id: str
    index: int
    sha256: str


@dataclass(frozen=True)
class Refused:
    """A create that was answered with an error."""

    answered: float
    status: int
    code: str
    retry_after: int | None


Entry = Accepted | Answered | Told | Fetched | Refused
KINDS = {kind.__name__: kind for kind in (Accepted, Answered, Told, Fetched, Refused)}


class History:
    """For many threads. With a path every entry is appended to that file too."""

    def __init__(self, path: Path | None = None) -> None:
        self.entries: list[Entry] = []
        self._lock = threading.Lock()
        self._file: IO[str] | None = path.open("w") if path else None

    def add(self, entry: Entry) -> None:
        with self._lock:
            self.entries.append(entry)
            if self._file:
                self._file.write(json.dumps({"kind": type(entry).__name__, **asdict(entry)}) + "\n")
                self._file.flush()

    def close(self) -> None:
        if self._file:
            self._file.close()

    def __iter__(self) -> Iterator[Entry]:
        with self._lock:
            return iter(self.entries[:])

    @property
    def accepted(self) -> list[Accepted]:
        return [entry for entry in self if isinstance(entry, Accepted)]

    @property
    def refused(self) -> list[Refused]:
        return [entry for entry in self if isinstance(entry, Refused)]

    @classmethod
    def read(cls, path: Path) -> History:
        """As it was written."""
        history = cls()
        for line in path.read_text().splitlines():
            fields = json.loads(line)
            kind = KINDS[fields.pop("kind")]
            if "images" in fields:
                fields["images"] = tuple(fields["images"])
            history.add(kind(**fields))
        return history
