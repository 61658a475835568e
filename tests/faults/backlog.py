"""A very long line: what it costs those who come, look and tidy up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import httpx

from guidance.models.gaussians import Gaussians
from jobs.artifacts import ArtifactStore
from jobs.housekeeping import Housekeeper
from jobs.order import Order
from jobs.presence import Presence
from jobs.request import GenerationRequest, resolve
from jobs.store import JobStore
from tests.faults.cluster import Cluster
from tests.faults.finding import Cell, Finding, percentile
from tests.faults.history import now
from tests.faults.mixture import PICTURE
from tests.faults.trial import Trial

BULK = 100


@dataclass
class Place:
    """A gateway with a line of its own length. Its worker is a name only, so that all wait."""

    cluster: Cluster
    http: httpx.Client
    store: JobStore

    def seconds(self, path: str) -> float:
        began = now()
        self.http.get(path).raise_for_status()
        return now() - began

    def create_seconds(self) -> tuple[float, str]:
        began = now()
        answer = self.http.post("/v1/generations", json=PICTURE)
        seconds = now() - began
        assert answer.status_code == 202, answer.text
        return seconds, answer.json()["id"]


def long_line(trial: Trial) -> Finding:
    """A service with very many queued generations beside one with none: how quick each is, request by request."""
    finding = Finding("long_line", long_line.__doc__ or "", trial.seed)
    with _place(trial, "empty") as empty, _place(trial, "full") as full:
        used = _used(full.store)
        _fill(full.store, trial)
        finding.add("queued", full.store.load().generations)
        finding.add("Redis memory per queued generation", (_used(full.store) - used) / trial.repeat / 1024, "KiB")
        pairs = [_pair(empty, full) for _ in range(10 if trial.quick else 500)]
        finding.insist(full.store.load().generations >= trial.repeat, "some of those queued are gone")
        for part, name in ((50, "p50"), (99, "p99")):
            alone, behind = (percentile([pair[k] for pair in pairs], part) for k in (0, 1))
            finding.add(f"create in the empty one, {name}", 1000 * alone, "ms")
            finding.add(f"create in the full one, {name}", 1000 * behind, "ms")
            finding.add(f"their ratio, {name}", behind / alone, at_most=1.5)
        _routes(finding, empty, full)
        _rounds(finding, full)
    return finding


@contextmanager
def _place(trial: Trial, name: str) -> Iterator[Place]:
    folder = trial.folder / name
    folder.mkdir()
    limits = {"max_queue": 10**7, "max_queue_evaluations": 10**9, "lease_seconds": 10}
    with (
        Cluster(folder, workers=0, settings=limits) as cluster,
        httpx.Client(base_url=cluster.urls[0], timeout=60) as http,
    ):
        store = cluster.store()
        Presence(store.redis, "worker-1", ttl=7200).renew([Gaussians.pictures().info])
        yield Place(cluster, http, store)
        store.redis.close()


def _fill(store: JobStore, trial: Trial) -> None:
    order = Order(resolve(GenerationRequest.model_validate(PICTURE), Gaussians.pictures().info), 20)
    for _ in trial.times("hundreds queued", BULK):
        store.create_all([order] * BULK)


def _pair(empty: Place, full: Place) -> tuple[float, float]:
    """A create in each, one right after the other; then both are canceled: the lines stay as long as they are."""
    (alone, first), (behind, second) = empty.create_seconds(), full.create_seconds()
    empty.http.post(f"/v1/generations/{first}/cancel").raise_for_status()
    full.http.post(f"/v1/generations/{second}/cancel").raise_for_status()
    return alone, behind


def _routes(finding: Finding, empty: Place, full: Place) -> None:
    """The other routes, in both."""
    last = full.store.page(1, status=None).records[0].id
    some = empty.create_seconds()[1]
    rows: list[Sequence[Cell]] = []
    for what, path in (("one", "/v1/generations/{id}"), ("list", "/v1/generations?limit=100"), ("metrics", "/metrics")):
        times = [(empty.seconds(path.format(id=some)), full.seconds(path.format(id=last))) for _ in range(20)]
        rows.append([f"GET {what}", *(1000 * median(pair[k] for pair in times) for k in (0, 1))])
    finding.tables["Other routes, median ms"] = (("route", "empty", "full"), rows)


def _rounds(finding: Finding, full: Place) -> None:
    """One round of housekeeping behind the whole line."""
    keeper = Housekeeper(full.cluster.settings, ArtifactStore(full.cluster.settings.artifacts))
    times = []
    for _ in range(10):
        began = now()
        keeper.tend_line()
        times.append(now() - began)
    keeper.redis.close()
    finding.add("one round of housekeeping", 1000 * median(times), "ms")


def _used(store: JobStore) -> float:
    return float(store.redis.info("memory")["used_memory"])
