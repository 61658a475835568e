"""A worker's own /metrics: its engine, its batches, its process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from jobs.settings import Settings
from workers.runtime import Runtime

ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Upper bounds of the buckets of rows in a forward."""


class PortTaken(RuntimeError):
    """The port of the metrics cannot be listened on."""


def serve(settings: Settings, runtime: Runtime) -> str | None:
    """Answer scrapes on a thread of its own; the URL, or None where no port is set. Raises PortTaken."""
    if settings.metrics_port is None:
        return None
    host, port = settings.metrics_host, settings.metrics_port
    try:
        server, _ = start_http_server(port, host, registry(runtime))
    except OSError as error:
        raise PortTaken(f"GUIDEPOST_METRICS_PORT = {port} on {host}: {error.strerror}") from error
    return f"http://{host}:{server.server_port}/metrics"


def registry(runtime: Runtime) -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(FromEngine(runtime))
    ProcessCollector(registry=made)
    return made


class FromEngine(Collector):
    """Reads the engine's counters when asked: the engine knows nothing of metrics."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def collect(self) -> Iterator[Metric]:
        engine, running = self.runtime.engine, len(self.runtime.tasks())
        totals, stats = engine.batcher.totals, engine.stats
        yield GaugeMetricFamily("guidepost_engine_generations", "Generations that run here now", running)
        yield GaugeMetricFamily("guidepost_engine_max_batch_rows", "Most rows in a forward", engine.batcher.room.rows)
        yield CounterMetricFamily("guidepost_engine_busy_seconds", "Time with something to do", stats.busy_seconds)
        yield CounterMetricFamily("guidepost_engine_steps", "Sampler steps, of each image", stats.steps)
        yield CounterMetricFamily("guidepost_engine_splits", "Batches halved after an error", totals.splits)
        yield CounterMetricFamily(
            "guidepost_engine_out_of_memory", "Forwards for which there was no room", totals.out_of_memory
        )
        yield SummaryMetricFamily(
            "guidepost_engine_forward_seconds", "Forwards of the network", totals.forwards, totals.seconds
        )
        yield HistogramMetricFamily(
            "guidepost_engine_batch_rows", "Rows in a forward", _buckets(totals.by_rows.copy()), totals.rows
        )


def _buckets(by_rows: Counter[int]) -> list[tuple[str, float]]:
    counts = [sum(by_rows[rows] for rows in by_rows if rows <= bound) for bound in ROWS]
    return [*((str(float(bound)), count) for bound, count in zip(ROWS, counts, strict=True)), ("+Inf", by_rows.total())]
