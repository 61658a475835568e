"""One, two, four workers for the same work, and tenants who share one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from statistics import median
from typing import Any, cast

import httpx
import redis

from jobs.api_keys import ApiKeyStore
from jobs.record import Record
from tests.faults.cluster import Cluster
from tests.faults.finding import Cell, Finding
from tests.faults.mixture import PICTURE, Body
from tests.faults.trial import Trial
from tests.workers.process import ended

NETWORK = {"slow": (0.08, 0.0025)}
"""As if a network took 0.12 s for 16 rows: what the processors of one machine allow four workers to wait for."""
STEPS = (6, 8, 10, 12, 14)
LINEAR_GOAL = 0.95
PATIENCE_SECONDS = 120
"""For which a worker that is stopped while the line is made still counts as there."""


def scale_out(trial: Trial) -> Finding:
    """The same work for each of 1, 2 and 4 workers, two gateways before them, on a network of known speed."""
    finding = Finding("scale_out", scale_out.__doc__ or "", trial.seed)
    counts = (1, 2) if trial.quick else (1, 2, 4)
    rates: dict[int, list[float]] = {count: [] for count in counts}
    commands: Counter[str] = Counter()
    total = 0
    for _ in trial.times("rounds"):
        for count in counts:
            with _crew(trial, f"{count}-{len(rates[count])}", count) as cluster:
                jobs = (8 if trial.quick else 160) * count
                rate, used = _throughput(finding, cluster, jobs)
            rates[count].append(rate)
            commands += used
            total += jobs
    for count in counts:
        finding.add(f"generations a second with {count}", median(rates[count]))
    for count in counts[1:]:
        ratios = [many / (count * one) for many, one in zip(rates[count], rates[1], strict=True)]
        finding.add(f"share of linear with {count}", median(ratios), at_least=LINEAR_GOAL)
    finding.add("Redis commands per generation, those in scripts too", sum(commands.values()) / total)
    rows: list[Sequence[Cell]] = [[name, number / total] for name, number in commands.most_common(15)]
    finding.tables["Redis commands per generation"] = (("command", "number"), rows)
    return finding


@contextmanager
def _crew(trial: Trial, name: str, workers: int) -> Iterator[Cluster]:
    folder = trial.folder / name
    folder.mkdir()
    settings = {"concurrency": 8, "lease_seconds": PATIENCE_SECONDS}
    with Cluster(folder, gateways=2, workers=workers, faults=NETWORK, settings=settings) as cluster:
        yield cluster


def _throughput(finding: Finding, cluster: Cluster, jobs: int) -> tuple[float, Counter[str]]:
    """Generations a second between the first start and the last end, posted to all gateways in turn."""
    connection = cluster.connection()
    for worker in cluster.workers:  # they all begin when the line is there
        worker.pause()
    before = _commands(connection)
    with ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(base_url=url, timeout=60)) for url in cluster.urls]
        ids = [clients[k % len(clients)].post("/v1/generations", json=_picture(k)).json()["id"] for k in range(jobs)]
    for worker in cluster.workers:
        worker.resume()
    store = cluster.store()
    records = [ended(store, id) for id in ids]
    used = _commands(connection) - before
    wrong = [record.id for record in records if record.status != "succeeded" or record.attempts != 1]
    finding.insist(not wrong, f"{len(wrong)} of {jobs} did not succeed at once")
    shares = Counter(record.worker for record in records)
    finding.insist(len(shares) == len(cluster.workers), f"the work went to {len(shares)} of {len(cluster.workers)}")
    return _rate(records), used


def _picture(k: int) -> Body:
    """One of several lengths: else they would all end at the same moments."""
    return PICTURE | {"sampler": {"type": "ddim", "steps": STEPS[k % len(STEPS)]}}


def _rate(records: list[Record]) -> float:
    """Between the first tenth and the last tenth of the ends: without the beginning and the idle end."""
    ends = sorted(record.finished_at.timestamp() for record in records if record.finished_at)
    skip = len(ends) // 10
    return (len(ends) - 2 * skip - 1) / (ends[-skip - 1] - ends[skip])


def _commands(connection: redis.Redis) -> Counter[str]:
    stats = cast(dict[str, dict[str, Any]], connection.info("commandstats"))
    return Counter({name.removeprefix("cmdstat_"): int(said["calls"]) for name, said in stats.items()})


def fairness(trial: Trial) -> Finding:
    """One tenant posts hundreds, then another posts five, to workers of which each serves a model of its own."""
    finding, many = Finding("fairness", fairness.__doc__ or "", trial.seed), trial.repeat
    settings = {"concurrency": 2, "lease_seconds": PATIENCE_SECONDS}
    with Cluster(trial.folder, workers=1, faults={"slow": (0.02, 0.001)}, settings=settings) as cluster:
        other = cluster.start_worker(models="other=gaussians")
        store = cluster.store()
        tokens = {name: ApiKeyStore(store.redis).create(name, tenant=name)[1] for name in ("first", "second")}
        cluster.workers[0].pause()
        ids = {
            name: _post_as(cluster, token, count)
            for (name, token), count in zip(tokens.items(), (many, 5), strict=True)
        }
        elsewhere = _post_as(cluster, tokens["second"], 5, model="other")
        at_once = [ended(store, id).status for id in elsewhere]
        finding.insist(set(at_once) == {"succeeded"}, f"the other model's worker left {at_once} behind a stopped one")
        other.stop()
        cluster.workers[0].resume()
        last = max(_finished(ended(store, id)) for id in ids["second"])
        others = [record for record in map(store.get, ids["first"]) if record]
        before = sum(record.terminal and _finished(record) < last for record in others)
        for id in ids["first"]:
            store.cancel(id)
        store.redis.close()
    finding.add("posted by the first tenant", many)
    finding.add("of these ended before the second's five", before, at_most=12)
    finding.insist(before <= 12, f"{before} of the first tenant's {many} ended before five of the second's")
    return finding


def _finished(record: Record) -> datetime:
    assert record.finished_at is not None
    return record.finished_at


def _post_as(cluster: Cluster, token: str, count: int, **changes: str) -> list[str]:
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=cluster.urls[0], timeout=60, headers=headers) as http:
        answers = [http.post("/v1/generations", json=PICTURE | changes).raise_for_status() for _ in range(count)]
        return [answer.json()["id"] for answer in answers]
