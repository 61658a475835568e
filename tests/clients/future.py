"""A service of a later version: it says what this version's document does not know."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

STATUS, CODE = "paused", "too_purple"
PROBLEM = {
    "type": f"urn:guidepost:problem:{CODE}",
    "title": "Too purple",
    "status": 422,
    "detail": "there is a bound to everything",
    "code": CODE,
    "retryable": False,
    "errors": [{"pointer": "/model", "code": CODE, "detail": "purple", "location": "trailer", "shade": 3}],
    "remedy": "less",
}


@dataclass(frozen=True)
class Service:
    url: str


@contextmanager
def serving(generation: str) -> Iterator[Service]:
    """What the service of today answers at and under the URL of a generation, with values and fields of a later one."""
    job, diagnostics, image = (httpx.get(generation + under) for under in ("", "/diagnostics", "/images/0"))
    answers = {
        "": (_encoded(_later(job.json())), "application/json"),
        "/diagnostics": (_encoded(_extended(diagnostics.json())), "application/json"),
        "/images/0": (image.content, "image/png"),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data, media_type = answers[self.path.partition("?")[0].removeprefix(httpx.URL(generation).path)]
            self._answer(200, data, media_type)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(422, _encoded(PROBLEM), "application/problem+json")

        def _answer(self, status: int, data: bytes, media_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Service(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


def _later(job: dict[str, Any]) -> dict[str, Any]:
    job["request"] |= {"diagnostics": "holographic", "priority": "urgent"}
    later: dict[str, Any] = _extended(job | {"status": STATUS, "status_reason": "full_moon", "error": PROBLEM})
    return later


def _extended(node: Any) -> Any:
    """The same, with one more member in every object that is not a map of columns."""
    if isinstance(node, list):
        return [_extended(item) for item in node]
    if not isinstance(node, dict):
        return node
    fields = {name: value if name == "columns" else _extended(value) for name, value in node.items()}
    return fields | ({"aura": "purple"} if {"id", "index", "step", "nfe"} & node.keys() else {})


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()
