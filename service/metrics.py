"""Prometheus metrics: what this gateway measures itself, and what Redis knows of the whole service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from jobs.connection import AWAY
from jobs.store import JobStore
from jobs.totals import histogram, labelled
from jobs.waiting import oldest, waiting

if TYPE_CHECKING:
    from service.gateway import LiveWorkers

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside each, which nobody asks for

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
        ProcessCollector(registry=self.registry)

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
        yield from self._queue()
        yield from _ended(self.store.counters())
        by_status = GaugeMetricFamily("guidepost_generations", "Generations on record, by status", labels=["status"])
        for status, count in self.store.counts().items():
            by_status.add_metric([status], count)
        yield by_status
        yield GaugeMetricFamily("guidepost_workers", "Live worker processes", len(self.workers.get()))

    def _queue(self) -> Iterator[Metric]:
        queue = GaugeMetricFamily("guidepost_queue_generations", "Generations that wait", labels=["models", "priority"])
        for place, count in waiting(self.store.redis).items():
            queue.add_metric(place, count)
        yield queue
        evaluations = self.store.load().evaluations
        yield GaugeMetricFamily("guidepost_queue_evaluations", "Evaluations planned for those that wait", evaluations)
        first = oldest(self.store.redis)
        age = max(0.0, (datetime.now(UTC) - first).total_seconds()) if first else 0.0
        yield GaugeMetricFamily("guidepost_queue_oldest_seconds", "Age of the oldest one that waits", age)


def _ended(totals: Mapping[str, float]) -> Iterator[Metric]:
    yield CounterMetricFamily("guidepost_generations_accepted", "Generations accepted", totals.get("created", 0))
    yield CounterMetricFamily("guidepost_attempts_lost", "Attempts whose worker fell silent", totals.get("lost", 0))
    yield CounterMetricFamily("guidepost_evaluations", "Evaluations of ended generations", totals.get("nfe", 0))
    counted = (
        ("guidepost_generations_finished", "Generations ended", "finished", ["status"]),
        ("guidepost_generations_failed", "Generations failed", "error", ["code"]),
        ("guidepost_webhook_attempts", "Attempts at webhooks, by what came of them", "webhook", ["outcome"]),
        ("guidepost_method_evaluations", "Evaluations of those that used a method", "nfe_by", ["stage", "method"]),
    )
    for name, text, total, labels in counted:
        counter = CounterMetricFamily(name, text, labels=labels)
        for label, amount in labelled(total, totals):
            counter.add_metric(label.split(":"), amount)
        yield counter
    measured = (
        ("guidepost_generation_wait_seconds", "From acceptance to the first start", "wait_seconds"),
        ("guidepost_generation_run_seconds", "From the last start to the end", "run_seconds"),
    )
    for name, text, total in measured:
        family = HistogramMetricFamily(name, text, labels=["model"])
        for model, buckets, seconds in histogram(total, totals):
            family.add_metric([model], buckets, seconds)
        yield family
