"""Who may ask what: the one place that every request passes. What is not named open here needs a key."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from datetime import UTC, datetime
from urllib.parse import unquote_plus, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.addresses import literal
from jobs.api_keys import FORM, ApiKey, ApiKeyStore, id_of, opens, read
from jobs.connection import AWAY
from service.pointers import shown
from service.problems import Refusal, redis_away, respond
from service.rates import Rates

log = logging.getLogger(__name__)

OPEN = frozenset({"/livez", "/readyz", "/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"})
REALM = 'Bearer realm="guidepost"'
SEND = "send it as `Authorization: Bearer gp_...`"
USE_NOTED_SECONDS = 60.0


def scope_for(method: str, path: str) -> str | None:
    """The scope that a request needs, by its path or the template of it; None where none is needed."""
    if path in OPEN:
        return None
    if path == "/metrics":
        return "metrics"
    # Validating computes something and makes nothing.
    return "read" if method in ("GET", "HEAD") or path == "/v1/guidance/validate" else "write"


class KnownKeys:
    """The keys there are, asked of Redis at most every `keep` seconds: a revoked key stops within that time.

    While Redis is away the last answer holds: neither could a key be revoked meanwhile.
    """

    def __init__(self, store: ApiKeyStore, keep: float = 1.0) -> None:
        self.store = store
        self.keep = keep
        self._lock = threading.Lock()
        self._known: dict[bytes, bytes] | None = None
        self._until = 0.0
        self._noted: dict[str, float] = {}

    async def get(self) -> dict[bytes, bytes]:
        """By id, as JSON."""
        known = self._known
        if known is not None and time.monotonic() < self._until:
            return known
        return await run_in_threadpool(self._load)

    async def note_use(self, key: ApiKey) -> None:
        """Tell Redis, once a minute."""
        now = time.monotonic()
        if now - self._noted.get(key.id, -USE_NOTED_SECONDS) >= USE_NOTED_SECONDS:
            self._noted[key.id] = now
            with contextlib.suppress(*AWAY):
                await run_in_threadpool(self.store.note_use, key.id)

    def forget(self) -> None:
        """Ask again at the next request."""
        self._until = 0.0

    def _load(self) -> dict[bytes, bytes]:
        with self._lock:
            if self._known is None or time.monotonic() >= self._until:
                try:
                    self._known = self.store.raw()
                except AWAY:
                    if self._known is None:
                        raise
                self._until = time.monotonic() + self.keep
            return self._known


class Access:
    """Lets requests through to the routes, with `state.tenant` and `state.key`; or answers 401, 403, 429."""

    def __init__(
        self, app: ASGIApp, keys: KnownKeys, rates: Rates, needs_no_key: bool, names: frozenset[str] | None = None
    ) -> None:
        """`names` are those under which who needs no key may ask, beside those that only this machine or its network
        has; None: under any.
        """
        self.app = app
        self.names = names
        self.keys = keys
        self.rates = rates
        self.needs_no_key = needs_no_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        needed = scope_for(scope["method"], path) if scope["type"] == "http" else None
        if needed is None:
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        try:
            key = self._admitted(request, needed, await self.keys.get())
            headers = await self._counted(key) if key else {}
        except Refusal as refusal:
            await respond(request, refusal)(scope, receive, send)
            return
        except AWAY as error:
            log.warning("Redis is away: %s", error)
            await respond(request, redis_away())(scope, receive, send)
            return
        request.state.key, request.state.tenant = key, key.tenant if key else ""
        await self.app(scope, receive, _with(headers, send))

    def _admitted(self, request: Request, needed: str, known: dict[bytes, bytes]) -> ApiKey | None:
        """The key that was sent; None where nobody needs one."""
        if FORM.search(unquote_plus(request.scope["query_string"].decode("latin-1"))):
            raise Refusal(400, "key_in_url", f"URLs end up in logs, so this key should be revoked; {SEND}")
        if not known and self.needs_no_key:
            self._insist_on_a_local_name(request.headers.get("host", ""))
            return None
        key = _identified(request.headers.get("authorization"), known)
        if needed not in key.scopes:
            detail = f"this needs the scope {needed}; the key has {', '.join(sorted(key.scopes)) or 'none'}"
            challenge = f'{REALM}, error="insufficient_scope", scope="{needed}"'
            raise Refusal(403, "missing_scope", detail, headers={"WWW-Authenticate": challenge})
        return key

    def _insist_on_a_local_name(self, host: str) -> None:
        """A page on the internet can make a browser ask this machine by a name of its own (DNS rebinding): without a
        key, the name is all that tells it from others.
        """
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            name = host
        if self.names is None or name in self.names or "." not in name or name.endswith(".localhost"):
            return
        if literal(name) is None:
            detail = (
                f"Host = {shown(host)}: without keys only localhost, addresses and GUIDEPOST_PUBLIC_URL are answered"
            )
            raise Refusal(403, "foreign_host", detail)

    async def _counted(self, key: ApiKey) -> dict[str, str]:
        await self.keys.note_use(key)
        return await run_in_threadpool(self.rates.count, key) if key.rate or key.burst else {}


def _identified(authorization: str | None, known: dict[bytes, bytes]) -> ApiKey:
    """The key that this header holds; or a refusal with 401. Only who has the secret learns what became of the key."""
    if not known:
        detail = "no key exists yet; `guidepost keys create` on the server makes one"
        raise Refusal(401, "missing_key", detail, headers={"WWW-Authenticate": REALM})
    if authorization is None:
        raise Refusal(401, "missing_key", f"a key is needed: {SEND}", headers={"WWW-Authenticate": REALM})
    scheme, _, token = authorization.partition(" ")
    id = id_of(token.strip()) if scheme.lower() == "bearer" else None
    raw = known.get(id.encode()) if id else None
    key = read(raw) if raw else None
    if not opens(token.strip(), key) or key is None:
        raise _invalid(f"this is none of the keys that there are; {SEND}")
    if (state := key.state(datetime.now(UTC))) != "active":
        raise _invalid(f"this key is {state}")
    return key


def _invalid(detail: str) -> Refusal:
    return Refusal(401, "invalid_key", detail, headers={"WWW-Authenticate": f'{REALM}, error="invalid_token"'})


def _with(headers: dict[str, str], send: Send) -> Send:
    """`send`, which adds these header fields to the response."""
    if not headers:
        return send

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return sending
