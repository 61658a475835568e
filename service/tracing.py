"""A span around every request, where tracing is on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.types import Scope

from jobs.tracing import Tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

LEFT_OUT = "left out"


def instrument(app: FastAPI, tracing: Tracing, unseen: Sequence[str]) -> None:
    """Outside of all middleware, so that what runs within knows the span; none for the paths `unseen`."""
    if tracing.provider is None:
        return
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")  # attributes by the stable names alone
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=tracing.provider,
        excluded_urls=",".join(f"{path}$" for path in unseen),
        exclude_spans=["receive", "send"],
        server_request_hook=_without_url,
    )


def _without_url(span: Span, scope: Scope) -> None:
    """Clients put anything there, keys too, though ours belong in a header. The route says what was asked for."""
    if span.is_recording():
        span.set_attribute("url.path", LEFT_OUT)
        if scope["query_string"]:
            span.set_attribute("url.query", LEFT_OUT)
