"""Many clients at once, on a thread of their own, and what is asked once they have left."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import httpx

from jobs.events import read_events
from jobs.store import JobStore
from tests.faults.client import Client, told
from tests.faults.history import STORED, History
from tests.faults.mixture import Body

TIMEOUT_SECONDS = 30.0
AT_ONCE = 16
PATIENCE_SECONDS = 120.0
"""After which a user gives up; what became of the request is seen when all have left."""


class Load:
    """`clients` users who post one request after another until told to stop, or until there were `limit`.

    Each time they draw what they do next: wait, follow the events, leave in the middle, cancel.
    """

    def __init__(
        self, urls: Sequence[str], bodies: Sequence[Body], seed: int, *, clients: int = 6, limit: int | None = None
    ) -> None:
        self.urls, self.bodies, self.limit = urls, bodies, limit
        self.history = History()
        self.begun = 0
        self._randoms = [Random(f"{seed} {k}") for k in range(clients)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load")
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop
        self._users: asyncio.Future[list[None]]

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Nothing new is posted; each finishes what it does."""
        self._stop.set()
        self.join()

    def give_up(self) -> None:
        """All leave at once, in the middle of whatever they do."""
        self._stop.set()
        self._loop.call_soon_threadsafe(self._users.cancel)
        self.join()

    def join(self) -> None:
        """Wait until all have left. Raises what went wrong with a client."""
        self._thread.join()
        if self._error:
            raise self._error

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    async def _run(self) -> None:
        try:
            async with contextlib.AsyncExitStack() as stack:
                clients = []
                for place, random in enumerate(self._randoms):
                    http = httpx.AsyncClient(base_url=self.urls[place % len(self.urls)], timeout=TIMEOUT_SECONDS)
                    clients.append(self._user(Client(await stack.enter_async_context(http), self.history), random))
                self._loop, self._users = asyncio.get_running_loop(), asyncio.gather(*clients)
                await self._users
        except asyncio.CancelledError:
            pass  # they gave up
        except BaseException as error:
            self._error = error

    async def _user(self, client: Client, random: Random) -> None:
        while not self._stop.is_set() and (self.limit is None or self.begun < self.limit):
            self.begun += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._visit(client, random)

    async def _visit(self, client: Client, random: Random) -> None:
        body = random.choice(self.bodies)
        key = f"{random.getrandbits(128):x}" if random.random() < 0.8 else None
        if key and random.random() < 0.2:  # the connection breaks before it has heard the answer, or right after
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(random.uniform(0, 0.03)):
                    await client.create(body, key)
        id = await client.create(body, key)
        if id is not None:
            await random.choice(MANNERS)(client, id, random)


async def _wait(client: Client, id: str, random: Random) -> None:
    if await client.wait(id) == "succeeded":
        await client.fetch(id, 0)


async def _follow(client: Client, id: str, random: Random) -> None:
    await client.follow(id)
    await client.look(id)


async def _leave(client: Client, id: str, random: Random) -> None:
    await client.follow(id, leave_after=random.randint(1, 4))


async def _forget(client: Client, id: str, random: Random) -> None:
    """Not interested any more."""


async def _cancel(client: Client, id: str, random: Random) -> None:
    await asyncio.sleep(random.expovariate(10))
    await client.cancel(id)
    await client.wait(id)


Manner = Callable[[Client, str, Random], Awaitable[None]]
MANNERS: tuple[Manner, ...] = (_wait, _wait, _follow, _follow, _leave, _forget, _cancel)


def settle(history: History, urls: Sequence[str], seconds: float) -> None:
    """Ask for everything that was accepted until it has ended, for at most so long. Then fetch every image."""
    asyncio.run(_settle(history, urls, seconds))


async def _settle(history: History, urls: Sequence[str], seconds: float) -> None:
    ids = dict.fromkeys(entry.id for entry in history.accepted)
    places = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=urls[-1], timeout=TIMEOUT_SECONDS) as http:
        client = Client(http, history)

        async def see_end(id: str) -> None:
            async with places:
                if await client.wait(id) == "succeeded":
                    await client.fetch(id, 0)

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*map(see_end, ids))


def read_stored(history: History, store: JobStore) -> None:
    """Add the events that lie in Redis of everything that was accepted."""
    for id in dict.fromkeys(entry.id for entry in history.accepted):
        for event in read_events(store.redis, id):
            history.add(told(id, event.seq, event.type, event.data, STORED))
