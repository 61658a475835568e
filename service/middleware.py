"""What surrounds every request: its id, its time, the size of its body, and what no route caught."""

from __future__ import annotations

import asyncio
import logging
import re
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid4

from jobs.correlation import Correlation, correlated, trace_context
from jobs.tracing import Tracing
from service.metrics import Metrics
from service.problems import Refusal, respond

log = logging.getLogger(__name__)

PROBES = ("/livez", "/readyz", "/metrics")
"""Asked every few seconds: their lines are for debugging."""
BODY_SECONDS = 60.0
"""How long a body may take to arrive."""
DOCS = ("/docs", "/redoc")
NOTHING = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
"""What a browser may run or load for what the API answers, pictures in SVG too: their own style."""
SWAGGER = (
    "default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; worker-src blob:; connect-src 'self'; "
    "style-src 'unsafe-inline' https://cdn.jsdelivr.net https://fonts.googleapis.com; "
    "font-src https://fonts.gstatic.com; img-src data: https://fastapi.tiangolo.com https://cdn.redoc.ly; "
    "frame-ancestors 'none'"
)
"""The same for the pages that show the API; their scripts are not ours."""
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Frame:
    """The outermost layer. Gives each request its X-Request-Id, measures and logs it, and answers what broke."""

    def __init__(self, app: ASGIApp, metrics: Metrics, tracing: Tracing) -> None:
        self.app = app
        self.metrics = metrics
        self.tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        asked = headers.get("x-request-id", "")
        request_id = asked if REQUEST_ID.fullmatch(asked) else str(uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        # With tracing the span around this request is what others are children of, else that of the client.
        trace = self.tracing.here() or trace_context(headers)
        with correlated(Correlation(request_id, **trace)):
            await self._framed(scope, receive, send, request_id)

    async def _framed(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        began = time.monotonic()
        status: int | None = None

        async def send_framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"  # bytes of strangers are what we say they are
                headers["Content-Security-Policy"] = SWAGGER if scope["path"].startswith(DOCS) else NOTHING
                self._measure(scope, message["status"], time.monotonic() - began)
            await send(message)

        try:
            await self.app(scope, receive, send_framed)
        except Exception:
            log.exception("request failed")
            if status is None:  # else the connection is cut, which the client notices
                refusal = Refusal(500, "internal_error", "this is our mistake; the log has it under the request id")
                await respond(Request(scope), refusal)(scope, receive, send_framed)
        finally:
            _log(scope, status, time.monotonic() - began)

    def _measure(self, scope: Scope, status: int, seconds: float) -> None:
        self.metrics.requests.labels(scope["method"], route(scope), str(status)).observe(seconds)
        if code := scope["state"].get("problem_code"):
            self.metrics.problems.labels(code).inc()


def route(scope: Scope) -> str:
    """The template, not the path: few values, whatever clients ask for, and nothing that a client wrote."""
    return getattr(scope.get("route"), "path", "")


def _log(scope: Scope, status: int | None, seconds: float) -> None:
    """One line when the answer is out; a client that left before there was one gets no status."""
    said = {"method": scope["method"], "route": route(scope), "status": status, "seconds": round(seconds, 6)}
    said["code"] = scope["state"].get("problem_code")
    level = logging.DEBUG if said["route"] in PROBES else logging.INFO
    log.log(level, "request", extra={name: value for name, value in said.items() if value is not None})


class BodyLimit:
    """Reads the body before anything else does, and refuses one that is too large, also when it is not announced, or
    too slow.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float = BODY_SECONDS) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        too_large = announced.isdigit() and int(announced) > self.max_bytes
        try:
            async with asyncio.timeout(self.seconds):
                body = None if too_large else await self._read(receive)
            refusal = Refusal(413, "body_too_large", f"the body has more than {self.max_bytes} bytes")
        except TimeoutError:
            body = None
            refusal = Refusal(408, "body_too_slow", f"the body was not there within {self.seconds:g} s")
        if body is None:
            await respond(Request(scope), refusal)(scope, receive, send)
            return
        replayed = False

        async def replay() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)

    async def _read(self, receive: Receive) -> bytes | None:
        """The whole body, or None as soon as it is too large."""
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.max_bytes:
                return None
        return bytes(body)
