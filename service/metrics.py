"""Prometheus metrics: what this gateway measures itself, and what Redis knows of the whole service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobs.connection import AWAY
from jobs.store import JobStore

if TYPE_CHECKING:
    from service.gateway import LiveWorkers

BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """A registry of its own: several apps may live in one process."""

    def __init__(self, store: JobStore, workers: LiveWorkers) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "guidepost_http_request_seconds",
            "Time until a response began",
            ("method", "route", "status"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.problems = Counter("guidepost_http_problems", "Error responses", ("code",), registry=self.registry)
        self.registry.register(FromRedis(store, workers))

    def exposition(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


class FromRedis(Collector):
    """The state of the whole service. Every gateway tells the same: take the maximum over them, not the sum."""

    def __init__(self, store: JobStore, workers: LiveWorkers) -> None:
        self.store = store
        self.workers = workers

    def describe(self) -> list[Metric]:
        return []  # else registering would ask Redis

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("guidepost_redis_up", "Whether Redis answers")
        try:
            yield from self._metrics()
            up.add_metric([], 1)
        except AWAY:
            up.add_metric([], 0)
        yield up

    def _metrics(self) -> Iterator[Metric]:
        counts, totals, workers = self.store.counts(), self.store.counters(), self.workers.get()
        by_status = GaugeMetricFamily("guidepost_generations", "Generations on record, by status", labels=["status"])
        for status, count in counts.items():
            by_status.add_metric([status], count)
        finished = CounterMetricFamily("guidepost_generations_finished", "Generations ended", labels=["status"])
        errors = CounterMetricFamily("guidepost_generations_failed", "Generations failed, by code", labels=["code"])
        for name, total in totals.items():
            kind, _, label = name.partition(":")
            if kind in ("finished", "error"):
                (finished if kind == "finished" else errors).add_metric([label], total)
        yield from (by_status, finished, errors)
        yield CounterMetricFamily("guidepost_generations_accepted", "Generations accepted", totals.get("created", 0))
        yield CounterMetricFamily("guidepost_evaluations", "Evaluations of ended generations", totals.get("nfe", 0))
        yield GaugeMetricFamily("guidepost_workers", "Live worker processes", len(workers))
