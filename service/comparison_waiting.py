"""Waiting for all of a comparison, or for any of it, without holding a thread."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.concurrency import run_in_threadpool

from jobs.comparison import Comparison
from jobs.connection import AWAY
from jobs.events import wait_for_any
from service.gateway import Gateway
from service.waiting import ended


async def all_ended(gateway: Gateway, comparison: Comparison, seconds: float) -> Comparison:
    """The comparison when all of it has ended, or as it stands after `seconds`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    for record in comparison.records:
        await ended(gateway, record, deadline - loop.time())
    return await _as_it_stands(gateway, comparison)


async def any_changed(gateway: Gateway, comparison: Comparison, seconds: float) -> Comparison:
    """The comparison once something has happened to any of it since, or as it stands after `seconds`."""
    last_events = {record.id: record.seq for record in comparison.records if not record.terminal}
    with contextlib.suppress(*AWAY):
        await wait_for_any(gateway.blocking, last_events, seconds)
    return await _as_it_stands(gateway, comparison)


async def _as_it_stands(gateway: Gateway, comparison: Comparison) -> Comparison:
    # Accepted is accepted: when Redis goes away meanwhile, the client still gets the comparison's id.
    with contextlib.suppress(*AWAY):
        return await run_in_threadpool(gateway.comparisons.get, comparison.id) or comparison
    return comparison
