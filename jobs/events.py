"""Reading the event stream of a generation, from any point, without missing anything unnoticed."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis
import redis.asyncio

from jobs import keys
from jobs.connection import LONGEST_BLOCK_SECONDS

DONE = "done"
GAP = "gap"


@dataclass(frozen=True, slots=True)
class Event:
    """Event number `seq` (from 1, without holes) of a generation: status, step, preview, image, done; or gap.

    A gap stands for events that are no longer kept. Its number is that of the last one missing.
    """

    seq: int
    type: str
    data: dict[str, Any]


def read_events(connection: redis.Redis, id: str, after: int = 0) -> list[Event]:
    """Every event there is after number `after`."""
    entries = connection.xrange(keys.events(id), min=f"({after}-0")
    return _with_gap(cast(Sequence[Entry], entries), after)


async def follow_events(
    connection: redis.asyncio.Redis, id: str, after: int, wait_seconds: float
) -> AsyncIterator[list[Event]]:
    """Events after number `after` as they come, up to `done`; an empty list after `wait_seconds` without any.

    When nothing more is to come it does not end: the caller looks at the record before, and when it is told nothing.
    """
    while True:
        answer = await connection.xread({keys.events(id): f"{after}-0"}, block=max(1, int(wait_seconds * 1000)))
        events = _with_gap(_entries(answer), after)
        yield events
        if events:
            after = events[-1].seq
            if events[-1].type == DONE:
                return


async def wait_for_done(connection: redis.asyncio.Redis, id: str, after: int, seconds: float) -> bool:
    """Whether `done` came within `seconds`; only events after number `after` are looked at."""
    async with contextlib.aclosing(_within(connection, id, after, seconds)) as coming:
        return DONE in [event.type async for event in coming]


async def wait_for_event(connection: redis.asyncio.Redis, id: str, after: int, seconds: float) -> bool:
    """Whether anything came after number `after` within `seconds`."""
    async with contextlib.aclosing(_within(connection, id, after, seconds)) as coming:
        async for _ in coming:
            return True
    return False


async def wait_for_any(connection: redis.asyncio.Redis, afters: Mapping[str, int], seconds: float) -> bool:
    """Whether anything came to one of these generations within `seconds`, after the number that stands by its id."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    streams: dict[Any, Any] = {keys.events(id): f"{after}-0" for id, after in afters.items()}
    while streams and (left := deadline - loop.time()) > 0:
        if await connection.xread(streams, count=1, block=max(1, int(1000 * min(left, LONGEST_BLOCK_SECONDS)))):
            return True
    return False


async def _within(connection: redis.asyncio.Redis, id: str, after: int, seconds: float) -> AsyncGenerator[Event, None]:
    """Events after number `after` as they come, up to `done` or until `seconds` are over."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while (left := deadline - loop.time()) > 0:
        block = max(1, int(1000 * min(left, LONGEST_BLOCK_SECONDS)))
        events = _with_gap(_entries(await connection.xread({keys.events(id): f"{after}-0"}, block=block)), after)
        for event in events:
            yield event
            after = event.seq
            if event.type == DONE:
                return


Entry = tuple[bytes, dict[bytes, bytes]]


def _entries(answer: Any) -> Sequence[Entry]:
    """The entries of the one stream that was read; XREAD answers a list under RESP2 and a dict under RESP3."""
    if not answer:
        return []
    [(_, entries)] = answer.items() if isinstance(answer, dict) else answer
    return cast(Sequence[Entry], entries[0] if isinstance(answer, dict) else entries)


def _with_gap(entries: Sequence[Entry], after: int) -> list[Event]:
    events = [_event(entry) for entry in entries]
    if events and events[0].seq > after + 1:
        missing = {"first": after + 1, "last": events[0].seq - 1}
        events.insert(0, Event(missing["last"], GAP, missing))
    return events


def _event(entry: Entry) -> Event:
    number, fields = entry
    return Event(int(number.partition(b"-")[0]), fields[b"type"].decode(), json.loads(fields[b"data"]))
