"""Waiting for a generation without holding a thread."""

from __future__ import annotations

import contextlib

from starlette.concurrency import run_in_threadpool

from jobs.connection import AWAY
from jobs.events import wait_for_done, wait_for_event
from jobs.record import Record
from service.gateway import Gateway


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
