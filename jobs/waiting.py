"""Who waits, for the metrics."""

from __future__ import annotations

from datetime import datetime
from typing import cast

import redis

from jobs import keys
from jobs.ids import made_at
from jobs.order import PRIORITIES
from jobs.record import Status

SPAN = 2**43
"""Between the first place of one priority and that of the next, as in `transition/2-line.lua`."""


def waiting(connection: redis.Redis) -> dict[tuple[str, str], int]:
    """How many generations wait, by the models that one worker must serve (joined by +) and by priority."""
    crews = sorted(crew.decode() for crew in cast(set[bytes], connection.smembers(keys.WAITING)))
    lines = [(crew, rank) for crew in crews for rank in range(len(PRIORITIES))]
    with connection.pipeline(transaction=False) as pipeline:
        for crew, rank in lines:
            pipeline.zcount(keys.waiting(crew), rank * SPAN, f"({(rank + 1) * SPAN}")
        counts = pipeline.execute()
    named = [("+".join(crew.splitlines()), PRIORITIES[rank]) for crew, rank in lines]
    return dict(zip(named, counts, strict=True))


def oldest(connection: redis.Redis) -> datetime | None:
    """When the first of those that wait was accepted, by the clock of its gateway; None when none waits."""
    first = cast(list[bytes], connection.zrange(keys.index(Status.QUEUED), 0, 0))
    return made_at(first[0].decode()) if first else None
