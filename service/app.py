"""The HTTP app. `uvicorn --factory service.app:create_app` serves it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jobs.artifacts import StorageAway
from jobs.connection import AWAY
from jobs.durability import shortcomings
from jobs.settings import Settings
from jobs.version import VERSION
from service import openapi
from service.access import Access
from service.gateway import RETRY_SECONDS, Gateway
from service.middleware import PROBES, BodyLimit, Frame
from service.pointers import MOST_ITEMS, problem_items
from service.problems import Refusal, code_of, redis_away, respond, storage_away, summed_up
from service.rates import Rates
from service.routes import (
    comparison_results,
    comparisons,
    diagnostics,
    events,
    generations,
    guidance,
    health,
    images,
    models,
    openai,
    pictures,
    webhooks,
)
from service.tracing import instrument

log = logging.getLogger("guidepost.service")

NOUNS = (
    *(generations, events, images, diagnostics, pictures),
    *(comparisons, comparison_results),
    *(guidance, models, openai, health),
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app over the Redis that `settings` name; nothing is connected before the first request."""
    gateway = Gateway(settings or Settings())
    app = FastAPI(
        title=openapi.TITLE,
        version=VERSION,
        summary=openapi.SUMMARY,
        lifespan=_lifespan,
        separate_input_output_schemas=False,
        webhooks=webhooks.router,
    )
    app.state.gateway = gateway
    for noun in NOUNS:
        app.include_router(noun.router)
    app.add_middleware(BodyLimit, max_bytes=gateway.settings.max_body_bytes)
    app.add_middleware(
        Access,
        keys=gateway.keys,
        rates=Rates(gateway.redis),
        needs_no_key=gateway.settings.needs_no_key,
        names=gateway.settings.names,
    )
    app.add_middleware(Frame, metrics=gateway.metrics, tracing=gateway.tracing)  # added last: the outermost
    for error, handler in HANDLERS.items():
        app.add_exception_handler(error, handler)
    openapi.install(app)
    instrument(app, gateway.tracing, PROBES)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    gateway: Gateway = app.state.gateway
    gateway.housekeeper.start()
    gateway.deliverer.start()
    app.state.looking = asyncio.create_task(_look_at_redis(gateway))
    yield
    app.state.looking.cancel()
    await run_in_threadpool(gateway.deliverer.stop)
    await run_in_threadpool(gateway.housekeeper.stop)
    await run_in_threadpool(gateway.tracing.close)
    await gateway.close()


async def _look_at_redis(gateway: Gateway) -> None:
    """Warn of a Redis that may lose what it accepts, as soon as it answers."""
    while True:
        try:
            found = await run_in_threadpool(shortcomings, gateway.redis)
        except AWAY:
            await asyncio.sleep(RETRY_SECONDS)
            continue
        for sentence in found:
            log.warning("%s", sentence)
        return


async def _refused(request: Request, error: Any) -> Response:
    return respond(request, error)


async def _invalid(request: Request, error: Any) -> Response:
    """The request does not fit its schema."""
    if error.errors()[0]["loc"][0] == "path":
        return respond(request, Refusal(404, "not_found", f"there is nothing at {request.url.path}"))
    if isinstance(error.body, bytes) and error.body:  # FastAPI leaves a body undecoded that is not called JSON
        given = request.headers.get("content-type", "none")
        detail = f"Content-Type = {given}: send application/json"
        return respond(request, Refusal(415, "unsupported_media_type", detail))
    items = problem_items(error.errors(), error.body)
    detail = summed_up(items, len(error.errors()) if len(items) == MOST_ITEMS else 0)
    return respond(request, Refusal(422, "invalid_request", detail, errors=items))


async def _http(request: Request, error: Any) -> Response:
    """What the framework refuses by itself: unknown routes, methods."""
    details = {
        404: f"there is nothing at {request.url.path}",
        405: f"{request.method} is not allowed at {request.url.path}",
    }
    detail = details.get(error.status_code, str(error.detail))
    headers = dict(error.headers or {})
    if "Allow" in headers:
        headers["Allow"] = _allowed(request, headers["Allow"])
    refusal = Refusal(error.status_code, code_of(error.status_code), detail, headers=headers)
    return respond(request, refusal)


def _allowed(request: Request, found: str) -> str:
    """Every method that the document has at this path; `found` are those of the first route that matched."""
    route = request.scope.get("route")
    documented = request.app.openapi()["paths"].get(getattr(route, "path", None), {})
    return ", ".join(sorted(method.upper() for method in documented)) or found


async def _redis_away(request: Request, error: Any) -> Response:
    log.warning("Redis is away: %s", error)
    detail = "Redis cannot be reached"
    if request.method == "POST":
        detail += "; should the connection have broken while it answered, this request may have been accepted"
    return respond(request, redis_away(detail))


async def _storage_away(request: Request, error: Any) -> Response:
    log.error("request %s: the store of images: %s", request.state.request_id, error)
    return respond(request, storage_away())


Handler = Callable[[Request, Any], Any]
HANDLERS: dict[type[Exception], Handler] = {
    Refusal: _refused,
    RequestValidationError: _invalid,
    HTTPException: _http,
    **dict.fromkeys(AWAY, _redis_away),
    StorageAway: _storage_away,
}
