"""The script that makes every change of a generation, in Redis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import redis
from redis.client import Pipeline
from redis.commands.core import Script

from jobs import keys
from jobs.queue import NAMELESS
from jobs.settings import Settings

FOLDER = Path(__file__).with_name("transition")
TRANSITION = "\n".join(part.read_text() for part in sorted(FOLDER.glob("*.lua")))
KEYS = [
    keys.GENERATION,
    keys.EVENTS,
    keys.INDEX,
    keys.COUNTERS,
    keys.WAITING,
    keys.DEADLINES,
    keys.STORED,
    keys.LOAD,
    keys.DELIVERIES,
    keys.LEASES,
    keys.HELD,
    keys.TURNS,
    keys.ROUNDS,
    keys.EXPRESS,
]
"""Of the script, in its order."""


class Transitions:
    """Calls the script, which says what each operation does and answers."""

    def __init__(self, connection: redis.Redis, settings: Settings) -> None:
        self._script: Script = connection.register_script(TRANSITION)
        self._always = {
            "max_events": settings.max_events,
            "result_ttl": settings.result_ttl_seconds,
            "record_ttl": max(settings.record_ttl_seconds, settings.result_ttl_seconds),
            "step_event": settings.step_event_seconds,
            "lease": settings.lease_seconds,
            "max_attempts": settings.max_attempts,
            "short": settings.express_evaluations,
            "suspected": max(1, settings.max_attempts - 1),
        }

    def __call__(
        self,
        operation: str,
        id: str,
        token: str = "",
        *,
        bell: bytes | None = None,
        client: Pipeline | None = None,
        **options: Any,
    ) -> list[Any]:
        """One atomic step; within a pipeline, its place there. Options that are None are left out.

        `bell` is what rings (`jobs.queue.Bells`), where the operation does. Outside of a pipeline it is one round trip,
        and two more where Redis does not know the script.
        """
        given = {name: value for name, value in options.items() if value is not None}
        words: list[str | bytes] = [operation, id, token, json.dumps(given | self._always)]
        if bell:
            words += [NAMELESS, bell]
        return cast(list[Any], self._script(keys=KEYS, args=words, client=client))
