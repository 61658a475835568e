"""Server-sent events (WHATWG HTML, 9.2) of one generation."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from jobs.connection import AWAY
from jobs.events import DONE, Event, follow_events, read_events
from jobs.record import Record
from service.gateway import Gateway
from service.job import image_path

RECONNECT_MILLISECONDS = 2000
HEARTBEAT = ": heartbeat\n\n"


async def stream(gateway: Gateway, record: Record, after: int) -> AsyncIterator[str]:
    """Everything after event number `after`, up to `done`. Ends early when Redis goes away: the client comes back."""
    yield f"retry: {RECONNECT_MILLISECONDS}\n\n"
    try:
        if record.terminal:
            for event in await run_in_threadpool(_kept, gateway, record, after):
                yield await _message(gateway, record.id, event)
            return
        async for events in follow_events(gateway.blocking, record.id, after, gateway.settings.heartbeat_seconds):
            for event in events:
                yield await _message(gateway, record.id, event)
            if not events:
                yield HEARTBEAT
                if await run_in_threadpool(gateway.store.get, record.id) is None:
                    return
    except AWAY:
        return


def _kept(gateway: Gateway, record: Record, after: int) -> list[Event]:
    """What is left of an ended generation's events. The record outlives them, and is `done` itself."""
    events = read_events(gateway.redis, record.id, after)
    if events and events[-1].type == DONE:
        return events
    missing = [Event(record.seq - 1, "gap", {"first": after + 1, "last": record.seq - 1})]
    return [*(missing if after < record.seq - 1 else ()), Event(record.seq, DONE, {})]


async def _message(gateway: Gateway, id: str, event: Event) -> str:
    data = {"type": event.type, **event.data}
    if event.type == "image":
        data["url"] = image_path(id, event.data["index"])
    if event.type == DONE:
        data = {"type": DONE, "job": await run_in_threadpool(_job, gateway, id)}
    return f"id: {event.seq}\nevent: {event.type}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


def _job(gateway: Gateway, id: str) -> object:
    record = gateway.store.get(id)
    return record and gateway.render(record).model_dump(mode="json")
