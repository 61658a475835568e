"""A client of the HTTP interface that writes down all it hears, and comes back until it has an answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import httpx

from jobs.record import TERMINAL
from tests.faults.history import UNKNOWN, Accepted, Answered, Fetched, History, Refused, Told, now
from tests.faults.mixture import Body, name

PAUSE_SECONDS = 0.2
"""Before it comes back to a gateway that could not be reached."""
LONGEST_PAUSE = 1.0
"""Before it comes back to one that was busy, whatever its Retry-After."""
streams = count(1)


class Client:
    """One of the service's users. Everything that it is answered goes into the history."""

    def __init__(self, http: httpx.AsyncClient, history: History) -> None:
        self.http, self.history = http, history

    async def create(self, body: Body, key: str | None = None, **headers: str) -> str | None:
        """The id, from as many tries as it takes; without a key only one, whose fate may stay unknown: None."""
        given = headers | ({"Idempotency-Key": key} if key else {})
        while True:
            asked = now()
            try:
                answer = await self.http.post("/v1/generations", json=body, headers=given)
            except httpx.TransportError:
                if key is None:
                    return None
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if answer.status_code in (200, 202):
                return self._accepted(asked, answer.json(), body, key)
            await self._refused(answer)
            if key is None:
                return None

    def _accepted(self, asked: float, job: dict[str, Any], body: Body, key: str | None) -> str:
        id: str = job["id"]
        self.history.add(Accepted(asked, now(), id, name(body), key))
        self.history.add(answered(asked, job))
        return id

    async def _refused(self, answer: httpx.Response) -> None:
        after = answer.headers.get("Retry-After")
        code = answer.json()["code"]
        self.history.add(Refused(now(), answer.status_code, code, int(after) if after else None))
        assert answer.status_code in (429, 503), answer.text
        await asyncio.sleep(min(float(after or 0), LONGEST_PAUSE))

    async def look(self, id: str, wait: int = 0) -> str | None:
        """Its status now; None when nobody could say."""
        asked = now()
        try:
            answer = await self.http.get(f"/v1/generations/{id}", params={"wait": wait} if wait else {})
        except httpx.TransportError:
            await asyncio.sleep(PAUSE_SECONDS)
            return None
        return await self._job(asked, id, answer)

    async def cancel(self, id: str) -> str | None:
        asked = now()
        try:
            answer = await self.http.post(f"/v1/generations/{id}/cancel")
        except httpx.TransportError:
            return None
        return await self._job(asked, id, answer)

    async def _job(self, asked: float, id: str, answer: httpx.Response) -> str | None:
        if answer.status_code == 404:
            self.history.add(Answered(asked, now(), id, UNKNOWN))
            return UNKNOWN
        if answer.status_code == 503:
            await asyncio.sleep(PAUSE_SECONDS)
            return None
        found = answered(asked, answer.raise_for_status().json())
        self.history.add(found)
        return found.status

    async def wait(self, id: str) -> str:
        """Its end, by long polls."""
        while (status := await self.look(id, wait=5)) not in (*TERMINAL, UNKNOWN):
            pass
        assert status is not None
        return status

    async def follow(self, id: str, leave_after: int | None = None) -> None:
        """Its events up to `done`, resumed where they broke; or as many as it cares for."""
        last, heard, source = 0, 0, f"client {next(streams)}"
        while True:
            try:
                async for seq, kind, data in self._events(id, last):
                    self.history.add(told(id, seq, kind, data, source))
                    last, heard = seq, heard + 1
                    if kind == "done" or heard == leave_after:
                        return
            except httpx.TransportError:
                pass
            if await self.look(id) == UNKNOWN:
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def _events(self, id: str, last: int) -> AsyncIterator[tuple[int, str, dict[str, Any]]]:
        headers = {"Last-Event-ID": str(last)} if last else {}
        async with self.http.stream("GET", f"/v1/generations/{id}/events", headers=headers) as answer:
            seq = 0
            if answer.status_code != 200:
                return
            async for line in answer.aiter_lines():
                field, _, value = line.partition(": ")
                if field == "id":
                    seq = int(value)
                elif field == "data":
                    data = json.loads(value)
                    yield seq, data["type"], data

    async def fetch(self, id: str, index: int) -> None:
        """The bytes of one image, if it can be had now."""
        try:
            answer = await self.http.get(f"/v1/generations/{id}/images/{index}", headers={"Accept": "image/png"})
        except httpx.TransportError:
            return
        if answer.status_code == 200:
            self.history.add(Fetched(id, index, hashlib.sha256(answer.content).hexdigest()))


def answered(asked: float, job: dict[str, Any]) -> Answered:
    images = tuple(image["sha256"] for image in job["images"])
    error = job["error"] and job["error"]["code"]
    return Answered(asked, now(), job["id"], job["status"], job["attempts"], images, error)


def told(id: str, seq: int, kind: str, data: dict[str, Any], source: str) -> Told:
    status = data["job"]["status"] if "job" in data else data.get("status")
    return Told(id, seq, kind, source, status, data.get("attempts"))
