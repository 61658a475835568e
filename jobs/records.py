"""Reads records, and where they stand in line, in one round trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import redis
from redis.commands.core import Script

from jobs import keys
from jobs.record import Load, Record

SCRIPT = Path(__file__).with_suffix(".lua").read_text()
KEYS = [keys.GENERATION, keys.WAITING, keys.COMPARISON, keys.LOAD]
"""Of the script, in its order."""

Fields = Mapping[bytes, bytes]


class Records:
    """For threads. What is not there, or no longer, is None."""

    def __init__(self, connection: redis.Redis) -> None:
        self._script: Script = connection.register_script(SCRIPT)

    def generations(self, ids: Sequence[str]) -> list[Record | None]:
        load, found = self._read("generations", ids)
        return _records(found, load)

    def comparisons(self, ids: Sequence[str]) -> list[tuple[Fields, list[Record | None]] | None]:
        """The fields of each, and its generations."""
        load, found = self._read("comparisons", ids)
        return [(_fields(said), _records(generations, load)) if said else None for said, generations in found]

    def _read(self, kind: str, ids: Sequence[str]) -> tuple[Load, list[Any]]:
        if not ids:
            return Load(0, 0), []
        load, *found = cast(list[Any], self._script(keys=KEYS, args=[kind, *ids]))
        return Load(*load), found


def _records(found: Sequence[tuple[Sequence[bytes], int | None]], load: Load) -> list[Record | None]:
    return [Record.from_hash(_fields(said), position, load) if said else None for said, position in found]


def _fields(said: Sequence[bytes]) -> Fields:
    """Names and values, in turn."""
    return dict(zip(said[::2], said[1::2], strict=True))
