"""What the routes share: the connections, the stores, the models that workers serve now."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Collection
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime

import redis
from starlette.requests import Request

from guidance.info import ModelInfo
from jobs.api_keys import ApiKey, ApiKeyStore
from jobs.artifacts import ArtifactStore
from jobs.comparison_store import ComparisonStore
from jobs.connection import connect, connect_async
from jobs.correlation import bind
from jobs.housekeeping import Housekeeper
from jobs.order import Terms
from jobs.presence import WorkerInfo, live_workers
from jobs.record import Record, Status
from jobs.settings import Settings
from jobs.store import JobStore
from jobs.tracing import Tracing
from service.access import KnownKeys
from service.deliverer import Deliverer
from service.estimates import overall_rate, until_end_of_running, until_end_of_waiting
from service.job import render
from service.metrics import Metrics
from service.problems import Refusal, not_found
from service.schemas import Generation

RETRY_SECONDS = 5
LONGEST_RETRY_SECONDS = 3600


class Gateway:
    """One per process, in `app.state.gateway`. Connects when first used."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.redis = connect(settings)
        self.blocking = connect_async(settings)
        self.store = JobStore(self.redis, settings)
        self.comparisons = ComparisonStore(self.store)
        self.workers = LiveWorkers(self.redis)
        self.metrics = Metrics(self.store, self.workers)
        self.artifacts = ArtifactStore(settings.artifacts)
        self.housekeeper = Housekeeper(settings, self.artifacts)
        self.deliverer = Deliverer(settings)
        self.tracing = Tracing(settings, "gateway")
        self.keys = KnownKeys(ApiKeyStore(self.redis))
        self.tenant = ""
        """Who asks. Routes see what is this tenant's, and nothing else."""
        self.key: ApiKey | None = None
        """With which key; None where none is needed."""

    def visited_by(self, tenant: str, key: ApiKey | None = None) -> Gateway:
        """The same gateway, as this tenant sees it."""
        visit = copy(self)
        visit.tenant, visit.key = tenant, key
        return visit

    def bound(self, terms: Terms) -> Terms:
        """The terms on the caller's account, within the bounds of its key. Whatever is queued is queued on these."""
        terms = replace(terms, tenant=self.tenant, max_waiting=self.max_waiting())
        if self.key is None:
            return terms
        return replace(terms, max_active=self.key.max_active, quota=self.key.quota)

    def max_waiting(self) -> int:
        """Network evaluations that may wait now."""
        most, seconds = self.settings.max_queue_evaluations, self.settings.max_queue_seconds
        speed = self.workers.speed() if seconds else 0.0
        return max(1, min(most, int(seconds * speed))) if seconds and speed else most

    def record(self, id: str) -> Record:
        """The record, or a refusal with 404, also when it is another tenant's."""
        record = self.store.get(id)
        if record is None or record.tenant != self.tenant:
            raise not_found(f"generation {id}")
        bind(generation_id=id)
        return record

    def render(self, record: Record) -> Generation:
        """The job as clients see it."""
        return render(record, self._left(record))

    def _left(self, record: Record) -> float | None:
        """Seconds until its end, as predicted."""
        if record.status == Status.QUEUED:
            return until_end_of_waiting(record, record.position, record.load, self.workers.lately())
        return until_end_of_running(record, record.load, datetime.now(UTC))

    def model(self, id: str) -> ModelInfo | None:
        """A model that is served now, or None; a refusal with 503 when nothing is served at all."""
        models = self.workers.models()
        if not models:
            detail = "no worker is up, so nothing could run this request; it was not queued"
            raise Refusal(503, "no_workers", detail, retry_after=RETRY_SECONDS)
        return models.get(id)

    async def close(self) -> None:
        self.redis.close()
        await self.blocking.aclose()


class LiveWorkers:
    """Who serves what, asked of Redis at most every `keep` seconds, so that a create costs no extra round trip."""

    def __init__(self, connection: redis.Redis, keep: float = 1.5) -> None:
        self.redis = connection
        self.keep = keep
        self._lock = threading.Lock()
        self._known: list[WorkerInfo] = []
        self._asked = self._until = 0.0

    def get(self) -> list[WorkerInfo]:
        with self._lock:
            if time.monotonic() >= self._until:
                self._known, self._asked = live_workers(self.redis), time.monotonic()
                # That there is nobody is never remembered: the first worker is used as soon as it is up.
                self._until = time.monotonic() + self.keep if self._known else 0.0
            return self._known

    def lately(self) -> list[WorkerInfo]:
        """The same for estimates: that there is nobody is remembered, too."""
        return self._known if time.monotonic() < self._asked + self.keep else self.get()

    def models(self) -> dict[str, ModelInfo]:
        return {model.id: model for worker in self.get() for model in worker.models}

    def beside(self, id: str, wanted: Collection[str]) -> dict[str, ModelInfo]:
        """Models that one worker serves together with `id`: of the worker that has most of the `wanted` ones."""
        crews = [{model.id: model for model in worker.models} for worker in self.get()]
        serving = [crew for crew in crews if id in crew]
        return max(serving, key=lambda crew: len(crew.keys() & set(wanted)), default={})

    def speed(self) -> float:
        """Network evaluations a second that all live workers together are able to; 0: not known."""
        return overall_rate(self.get())

    def seconds_for(self, evaluations: int) -> float | None:
        """Of so many at full batches; None while no worker has run anything."""
        speed = self.speed()
        return evaluations / speed if speed else None

    def forget(self) -> None:
        """Ask again at the next call."""
        self._asked = self._until = 0.0


def retry_after(seconds: float | None) -> int:
    """In whole seconds, from 1 to an hour; a guess where it is not known."""
    return RETRY_SECONDS if seconds is None else min(LONGEST_RETRY_SECONDS, max(1, math.ceil(seconds)))


async def gateway(request: Request) -> Gateway:  # else it would have to wait for a thread
    """The dependency through which a route gets at it, as the caller sees it."""
    shared: Gateway = request.app.state.gateway
    tenant = getattr(request.state, "tenant", "")
    bind(tenant=tenant or None)
    return shared.visited_by(tenant, getattr(request.state, "key", None))
