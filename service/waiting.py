"""Waiting for a generation without holding a thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from jobs.connection import AWAY
from jobs.events import wait_for_done, wait_for_event
from jobs.record import Record
from service.gateway import Gateway

T = TypeVar("T")
LOOK_SECONDS = 60.0
"""How often whoever waits without end makes sure that there still is what it waits for."""


async def ended(gateway: Gateway, record: Record, seconds: float) -> Record:
    """The record when it has ended, or as it stands after `seconds`."""
    if record.terminal or seconds <= 0:
        return record
    # Accepted is accepted: when Redis goes away meanwhile, the client still gets its job's id.
    with contextlib.suppress(*AWAY):
        await wait_for_done(gateway.blocking, record.id, record.seq, seconds)
        return await run_in_threadpool(gateway.store.get, record.id) or record
    return record


async def changed(gateway: Gateway, record: Record, seconds: float) -> Record:
    """The record once something has happened to it since, or as it stands after `seconds`."""
    if record.terminal:
        return record
    with contextlib.suppress(*AWAY):
        await wait_for_event(gateway.blocking, record.id, record.seq, seconds)
        return await run_in_threadpool(gateway.store.get, record.id) or record
    return record


async def finished(gateway: Gateway, record: Record) -> Record:
    """The record when it has ended, however long that takes. Raises one of AWAY, or a refusal when it is gone."""
    while not record.terminal:
        await wait_for_done(gateway.blocking, record.id, record.seq, LOOK_SECONDS)
        record = await run_in_threadpool(gateway.record, record.id)
    return record


async def unless_gone(request: Request, awaited: Coroutine[Any, Any, T]) -> T | None:
    """What is awaited; None when the client disconnects before. The request's body must have been read."""
    with anyio.CancelScope() as scope:  # insists where a lone cancellation of a task gets lost in a connecting client
        watch = asyncio.create_task(_cancel_when_gone(request, scope))
        try:
            return await awaited
        finally:
            watch.cancel()
    return None


async def abandon(gateway: Gateway, id: str) -> None:
    """Cancel a generation that nobody waits for any more, also from a task that is being cancelled itself."""
    with anyio.CancelScope(shield=True), contextlib.suppress(*AWAY):
        await run_in_threadpool(gateway.store.cancel, id)


async def _cancel_when_gone(request: Request, scope: anyio.CancelScope) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
