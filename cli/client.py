"""A client of a running service: submit, follow the events to the end, fetch bytes. Problems become `Refused`."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import httpx

Json = dict[str, Any]
RECONNECTS = 5


class Refused(Exception):
    """The service answered with a problem (RFC 9457)."""

    def __init__(self, problem: Json) -> None:
        super().__init__(str(problem.get("title", "problem")))
        self.problem = problem

    def lines(self) -> Iterator[str]:
        """What a person wants to read: the title, then one line per place in the request, or else the detail."""
        errors = self.problem.get("errors") or []
        title, detail = self.problem.get("title", "refused"), self.problem.get("detail")
        yield str(title) if errors or not detail else f"{title}: {detail}"
        for error in errors:
            yield f"  {error.get('pointer') or '/'}: {error.get('detail')}"


class Service:
    def __init__(self, url: str, *, timeout: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self.http = httpx.Client(
            base_url=self.url, headers=credentials(), timeout=httpx.Timeout(timeout, connect=2.0), trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.http.close()

    def answers(self, path: str = "/livez", *, seconds: float = 0.5) -> bool:
        try:
            return self.http.get(path, timeout=seconds).status_code == 200
        except httpx.TransportError:
            return False

    def submit(self, request: Json, path: str = "/v1/generations") -> Json:
        return self._json(self.http.post(path, json=request))

    def awaited(self, resource: Json, seconds: int) -> Json:
        """The resource once it has ended, or as it stands after `seconds`."""
        return self.get(f"{resource['links']['self']}?wait={seconds}")

    def get(self, path: str) -> Json:
        return self._json(self.http.get(path))

    def fetch(self, path: str, accept: str) -> bytes:
        """Bytes; from the object store itself where the service sends us there."""
        response = self.http.get(path, headers={"Accept": accept}, follow_redirects=True)
        refuse(response)
        return response.content

    def follow(self, job: Json) -> Iterator[Json]:
        """Every event of a job up to `done`; a broken connection is taken up again where it broke."""
        last: str | None = None
        for attempt in range(RECONNECTS + 1):
            try:
                for event in self._events(job["links"]["events"], last):
                    last = event.id
                    yield event.data
                    if event.data["type"] == "done":
                        return
            except httpx.TransportError:
                if attempt == RECONNECTS:
                    raise
            time.sleep(0.2 * attempt)
        raise Refused({"title": "the event stream ended early", "detail": "no done event arrived"})

    def _events(self, path: str, last: str | None) -> Iterator["Event"]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        with self.http.stream("GET", path, headers=headers) as response:
            if response.status_code >= 400:
                response.read()
            refuse(response)
            yield from parse(response.iter_lines())

    def _json(self, response: httpx.Response) -> Json:
        refuse(response)
        body: Json = response.json()
        return body


def credentials() -> dict[str, str]:
    """The header with the key of GUIDEPOST_API_KEY, where that is set."""
    key = os.environ.get("GUIDEPOST_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


@dataclass(frozen=True)
class Event:
    id: str | None
    data: Json


def parse(lines: Iterator[str]) -> Iterator[Event]:
    """Server-sent events; comments and retry hints are passed over."""
    last: str | None = None
    data: list[str] = []
    for line in lines:
        if line.startswith("id:"):
            last = line[3:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].strip())
        elif not line and data:
            yield Event(last, json.loads("\n".join(data)))
            data = []


def refuse(response: httpx.Response) -> None:
    if response.status_code < 400:
        return
    try:
        problem = response.json()
    except ValueError:
        problem = {"title": f"status {response.status_code}", "detail": response.text[:200]}
    raise Refused(problem)
