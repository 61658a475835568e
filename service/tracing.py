"""A span around every request, where tracing is on."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI

from jobs.tracing import Tracing


def instrument(app: FastAPI, tracing: Tracing, unseen: Sequence[str]) -> None:
    """Outside of all middleware, so that what runs within knows the span; none for the paths `unseen`."""
    if tracing.provider is None:
        return
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=tracing.provider,
        excluded_urls=",".join(f"{path}$" for path in unseen),
        exclude_spans=["receive", "send"],
    )
