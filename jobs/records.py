"""Reads records, and where they stand in line, in one round trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import redis
from redis.commands.core import Script

from jobs import keys
from jobs.record import Record

SCRIPT = Path(__file__).with_suffix(".lua").read_text()
KEYS = [keys.GENERATION, keys.WAITING, keys.COMPARISON]
"""Of the script, in its order."""

Fields = Mapping[bytes, bytes]


class Records:
    """For threads. What is not there, or no longer, is None."""

    def __init__(self, connection: redis.Redis) -> None:
        self._script: Script = connection.register_script(SCRIPT)

    def generations(self, ids: Sequence[str]) -> list[Record | None]:
        return [_record(*one) for one in self._read("generations", ids)]

    def comparisons(self, ids: Sequence[str]) -> list[tuple[Fields, list[Record | None]] | None]:
        """The fields of each, and its generations."""
        found = self._read("comparisons", ids)
        return [(_fields(said), [_record(*one) for one in records]) if said else None for said, records in found]

    def _read(self, kind: str, ids: Sequence[str]) -> list[Any]:
        return cast(list[Any], self._script(keys=KEYS, args=[kind, *ids])) if ids else []


def _record(said: Sequence[bytes], position: int | None) -> Record | None:
    return Record.from_hash(_fields(said), position) if said else None


def _fields(said: Sequence[bytes]) -> Fields:
    """Names and values, in turn."""
    return dict(zip(said[::2], said[1::2], strict=True))
