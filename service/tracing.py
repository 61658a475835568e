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
        server_request_hook=_without_query,
    )


def _without_query(span: Span, scope: Scope) -> None:
    """Clients put keys there, though ours belong in a header."""
    if span.is_recording() and scope["query_string"]:
        span.set_attribute("url.query", "left out")
