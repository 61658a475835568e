"""Spans for OpenTelemetry. Without GUIDEPOST_OTLP_ENDPOINT none of it is imported here, and every call does nothing."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from jobs.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OpenSpan

Attribute = str | int | float | bool
PATH = "/v1/traces"
EXPORT_SECONDS = 3.0
"""How long a batch of spans is tried, then it is lost: a collector that is away may not hold up a process that ends."""


class TracingMissing(RuntimeError):
    """An endpoint is set and OpenTelemetry is not installed."""


class Span:
    """A span that may be given attributes; this one, where tracing is off, forgets them."""

    def set(self, **attributes: Attribute | None) -> None:
        """Each is named `guidepost.NAME`; None is left out."""

    def fail(self, code: str) -> None:
        """What it covers ended with this error."""


class _Recorded(Span):
    def __init__(self, span: OpenSpan) -> None:
        self.span = span

    def set(self, **attributes: Attribute | None) -> None:
        given = {f"guidepost.{name}": value for name, value in attributes.items() if value is not None}
        self.span.set_attributes(given)

    def fail(self, code: str) -> None:
        from opentelemetry.trace import StatusCode

        self.span.set_attribute("error.type", code)
        self.span.set_status(StatusCode.ERROR, code)


class Tracing:
    """The spans of one process, sent in the background; `close` sends the last ones."""

    def __init__(self, settings: Settings, process: str) -> None:
        """`process` is gateway or worker. Raises TracingMissing."""
        self.provider = _provider(settings.otlp_endpoint, process) if settings.otlp_endpoint else None

    @contextmanager
    def span(self, name: str, origin: Mapping[str, str] | None = None) -> Iterator[Span]:
        """A span around the block: a child of `origin` (a traceparent and a tracestate), else of that around it."""
        if self.provider is None:
            yield Span()
            return
        tracer = self.provider.get_tracer("guidepost")
        with tracer.start_as_current_span(
            name,
            _context(origin),
            record_exception=False,  # its message may quote a request
            set_status_on_exception=False,
        ) as span:
            recorded = _Recorded(span)
            try:
                yield recorded
            except Exception as error:
                recorded.fail(type(error).__name__)
                raise

    def past(self, name: str, origin: Mapping[str, str], begin: datetime, end: datetime) -> None:
        """A span of what is over already."""
        if self.provider is None:
            return
        tracer = self.provider.get_tracer("guidepost")
        span = tracer.start_span(name, _context(origin), start_time=_nanoseconds(begin))
        span.end(_nanoseconds(end))

    def here(self) -> dict[str, str]:
        """traceparent and tracestate of the span that is open here; nothing when there is none."""
        carrier: dict[str, str] = {}
        if self.provider is not None:
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

            TraceContextTextMapPropagator().inject(carrier)
        return carrier

    def close(self) -> None:
        if self.provider is not None:
            self.provider.shutdown()


def _context(origin: Mapping[str, str] | None) -> Context | None:
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return None if origin is None else TraceContextTextMapPropagator().extract(origin, Context())


def _nanoseconds(when: datetime) -> int:
    return int(when.timestamp() * 1e6) * 1000


def _provider(endpoint: str, process: str) -> TracerProvider:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        message = "GUIDEPOST_OTLP_ENDPOINT is set, and OpenTelemetry is missing: pip install 'guidepost[tracing]'"
        raise TracingMissing(message) from None
    instance = f"{socket.gethostname()}-{os.getpid()}"
    resource = Resource.create({SERVICE_NAME: f"guidepost-{process}", SERVICE_INSTANCE_ID: instance})
    provider = TracerProvider(resource=resource)
    logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)  # one line a batch that is lost, not a retry
    exporter = OTLPSpanExporter(endpoint.rstrip("/") + PATH, timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
