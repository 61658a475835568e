"""Reading event streams: from any point, gaps included, waiting included."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import redis
import redis.asyncio

from jobs import keys
from jobs.connection import connect_async
from jobs.events import Event, follow_events, read_events, wait_for_done
from jobs.record import Status
from jobs.settings import Settings
from jobs.store import JobStore
from tests.jobs.requests import a_request

T = TypeVar("T")


def run(settings: Settings, act: Callable[[redis.asyncio.Redis], Awaitable[T]]) -> T:
    async def main() -> T:
        client = connect_async(settings)
        try:
            return await act(client)
        finally:
            await client.aclose()

    return asyncio.run(main())


def ended(store: JobStore, steps: int = 3) -> str:
    """A generation whose events are status, status, `steps` steps, done."""
    id = store.create(a_request()).id
    attempt = store.start(id, "worker")
    assert attempt is not None
    for step in range(steps):
        store.progress(id, attempt.token, step=step, steps=steps, nfe_done=step, nfe_total=steps)
    store.finish(id, attempt.token, Status.SUCCEEDED)
    return id


def test_reading_resumes_after_any_event(store: JobStore) -> None:
    id = ended(store)
    everything = read_events(store.redis, id)
    assert [event.seq for event in everything] == [1, 2, 3, 4, 5, 6]
    for event in everything:
        assert read_events(store.redis, id, after=event.seq) == everything[event.seq :]


def test_what_was_trimmed_is_told_as_a_gap(store: JobStore) -> None:
    id = ended(store)
    store.redis.xtrim(keys.events(id), maxlen=2, approximate=False)
    gap, *rest = read_events(store.redis, id, after=1)
    assert gap == Event(4, "gap", {"first": 2, "last": 4})
    assert [event.seq for event in rest] == [5, 6]
    assert [event.seq for event in read_events(store.redis, id, after=4)] == [5, 6]


def test_streams_are_bounded(store: JobStore) -> None:
    short = JobStore(store.redis, store.settings.model_copy(update={"max_events": 16}))
    id = ended(short, steps=40)
    events = read_events(store.redis, id)
    assert len(events) == 1 + 16
    assert events[0].type == "gap"
    assert events[-1].type == "done"


def test_following_ends_with_done(store: JobStore, settings: Settings) -> None:
    id = ended(store)

    async def follow(client: redis.asyncio.Redis) -> list[Event]:
        return [event async for events in follow_events(client, id, 0, 60) for event in events]

    assert run(settings, follow) == read_events(store.redis, id)


def test_following_sees_what_comes_later_and_says_when_nothing_does(store: JobStore, settings: Settings) -> None:
    id = store.create(a_request()).id

    async def follow(client: redis.asyncio.Redis) -> list[list[str]]:
        seen = []
        async for events in follow_events(client, id, 0, wait_seconds=0.001):
            seen.append([event.type for event in events])
            if len(seen) == 2:
                store.cancel(id)
        return seen

    told = run(settings, follow)
    assert told[:2] == [["status"], []]
    assert told[-1] == ["done"]


def test_waiting_ends_when_it_has_ended(store: JobStore, settings: Settings) -> None:
    id = ended(store)
    assert run(settings, lambda client: wait_for_done(client, id, 0, 60))


def test_waiting_ends_when_time_is_up(store: JobStore, settings: Settings) -> None:
    id = store.create(a_request()).id
    assert not run(settings, lambda client: wait_for_done(client, id, 0, 0.001))
    assert not run(settings, lambda client: wait_for_done(client, id, 1, 0.001))
