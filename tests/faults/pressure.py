"""More than can be run, for minutes; and thousands of small requests, for what they leave behind."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import redis

from jobs import keys
from tests.faults.cluster import Cluster
from tests.faults.finding import Finding, slope
from tests.faults.history import Answered, now
from tests.faults.load import Load
from tests.faults.mixture import Body
from tests.faults.trial import Trial

SMALL: Body = {"model": "gaussians", "label": 1, "seed": 3, "sampler": {"type": "ddim", "steps": 5}}
RECOVERY_SECONDS = 30.0
OUTSTANDING = 400
"""Requests that the overload may have open at a time: beyond, the clients would be what is overloaded."""
LEAK_GOAL = 1.0
"""MB per 1,000 generations."""


@dataclass
class Memory:
    """Resident megabytes of each process, and what Redis says it uses, over time."""

    cluster: Cluster
    connection: redis.Redis
    began: float = field(default_factory=now)
    rows: list[list[float]] = field(default_factory=list)

    @property
    def header(self) -> list[str]:
        gateways = [f"gateway {k + 1} MB" for k in range(len(self.cluster.gateways))]
        workers = [f"worker {k + 1} MB" for k in range(len(self.cluster.workers))]
        return ["at", *gateways, *workers, "Redis MB", "keys"]

    def sample(self, at: float | None = None) -> None:
        """A row; `at` is by default the seconds since the beginning."""
        processes = [process.megabytes for process in (*self.cluster.gateways, *self.cluster.workers)]
        used = float(self.connection.info("memory")["used_memory"]) / 2**20
        keys_there = float(self.connection.dbsize())
        self.rows.append([now() - self.began if at is None else at, *processes, used, keys_there])

    def report(self, finding: Finding, title: str, most: int = 20) -> None:
        """A table of at most so many rows."""
        every = -(-len(self.rows) // most)
        finding.tables[title] = (self.header, [list(row) for row in self.rows[::every]])


def overload(trial: Trial) -> Finding:
    """Ten times as many requests as can be run, for minutes; then one more."""
    finding, seconds = Finding("overload", overload.__doc__ or "", trial.seed), float(trial.repeat)
    # What is accepted is kept for a week, and would hide what grows besides.
    settings = {"max_queue": 10 if trial.quick else 50, "result_ttl_seconds": 15, "record_ttl_seconds": 15}
    with Cluster(trial.folder, workers=1, faults={"slow": (0.1, 0.002)}, settings=settings) as cluster:
        with httpx.Client(base_url=cluster.urls[0], timeout=60) as http:
            _latency(http)  # the first pays for what is loaded late
            normal = min(_latency(http) for _ in range(3))
            capacity = _capacity(http, 8 if trial.quick else 48)
            memory = Memory(cluster, cluster.connection())
            answers = asyncio.run(_flood(cluster.urls[0], 10 * capacity, seconds, memory))
            _recover(finding, http, normal)
        for process in (*cluster.gateways, *cluster.workers):
            finding.insist(process.alive, f"a {process.command[0]} died")
    finding.add("capacity, generations a second", capacity)
    finding.add("offered, requests a second", sum(answers.values()) / seconds)
    _add_answers(finding, answers)
    _add_growth(finding, memory)
    return finding


def _recover(finding: Finding, http: httpx.Client, normal: float) -> None:
    """Post one after another until one takes no more than twice what it takes alone."""
    began = now()
    while (latency := _latency(http)) > 2 * normal and now() < began + 120:
        pass
    finding.add("latency alone", normal, "s")
    finding.add("latency once recovered", latency, "s")
    finding.add("until one more took as long as alone", now() - began, "s", at_most=RECOVERY_SECONDS)


def _add_answers(finding: Finding, answers: Counter[str]) -> None:
    other = {said: count for said, count in answers.items() if said not in ("202", "503", "429")}
    finding.insist(not other, f"also answered {other}")
    finding.insist(answers["503"] > 0, f"nothing was refused: {dict(answers)}")
    finding.add("accepted", answers["202"])
    finding.add("refused with 503 and Retry-After", answers["503"])
    finding.add("answered otherwise", sum(other.values()), at_most=0)


def _add_growth(finding: Finding, memory: Memory) -> None:
    third = len(memory.rows) // 3
    for column, what in enumerate(memory.header[1:-1], 1):
        early = max(row[column] for row in memory.rows[: -third or None])
        late = max(row[column] for row in memory.rows[-third:])
        finding.add(f"most in the last third / most before: {what}", late / early, at_most=1.1)
    memory.report(finding, "Memory in the course of it (at: seconds)")


def _latency(http: httpx.Client) -> float:
    """Seconds that one small generation takes; endless while it is refused."""
    began = now()
    answer = http.post("/v1/generations", json=SMALL, headers={"Prefer": "wait=60"})
    if answer.status_code == 503:
        time.sleep(0.2)
        return float("inf")
    assert answer.status_code == 200, answer.text
    return now() - began


def _capacity(http: httpx.Client, count: int) -> float:
    """Generations a second, of so many at once."""
    began = now()
    ids = [http.post("/v1/generations", json=SMALL).raise_for_status().json()["id"] for _ in range(count)]
    for id in ids:
        assert http.get(f"/v1/generations/{id}", params={"wait": 60}).json()["status"] == "succeeded"
    return count / (now() - began)


async def _flood(url: str, rate: float, seconds: float, memory: Memory) -> Counter[str]:
    """Post at a rate that does not heed the answers. How often each was given."""
    answers: Counter[str] = Counter()
    open_requests: set[asyncio.Task[None]] = set()
    limits = httpx.Limits(max_connections=OUTSTANDING)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as http:

        async def post() -> None:
            try:
                answer = await http.post("/v1/generations", json=SMALL)
            except httpx.TransportError as error:
                answers[type(error).__name__] += 1
                return
            whole = answer.status_code == 202 or "Retry-After" in answer.headers
            answers[f"{answer.status_code}{'' if whole else ' without Retry-After'}"] += 1

        began, posted, sampled = now(), 0, 0.0
        while (passed := now() - began) < seconds:
            while posted < passed * rate and len(open_requests) < OUTSTANDING:
                task = asyncio.create_task(post())
                open_requests.add(task)
                task.add_done_callback(open_requests.discard)
                posted += 1
            if passed - sampled >= 1:
                memory.sample()
                sampled = passed
            await asyncio.sleep(0.01)
        await asyncio.gather(*open_requests)
    memory.sample()
    return answers


def endurance(trial: Trial) -> Finding:
    """Thousands of small requests with cancels and clients that leave: what they leave behind once expired."""
    finding, bodies = Finding("endurance", endurance.__doc__ or "", trial.seed), trial.bodies((3, 8))
    ttl = {"result_ttl_seconds": 3, "record_ttl_seconds": 3, "idempotency_seconds": 5, "housekeeping_seconds": 0.5}
    with Cluster(trial.folder, workers=1, settings=ttl) as cluster:
        connection = cluster.connection()
        memory = Memory(cluster, connection)
        with Load(cluster.urls, bodies, trial.seed, clients=12, limit=trial.repeat) as load:
            _watch(load, memory, trial)
        ended = Counter(entry.status for entry in load.history if isinstance(entry, Answered))
        # RQ keeps its entries for half a minute, and never for longer.
        left, files = _leftovers(cluster, connection, ("guidepost:", *(() if trial.quick else ("rq:job:",))))
    finding.insist(not ended["failed"], f"{ended['failed']} answers said failed")
    finding.insist(not left, f"keys were left: {left}")
    finding.insist(not files, f"{len(files)} files and folders were left, such as {files[:1]}")
    finding.add("generations", load.begun)
    finding.add("answers that said failed", ended["failed"], at_most=0)
    if not trial.quick:
        _add_slopes(finding, memory, load.begun)
    finding.add("keys left in Redis that should have expired", len(left), at_most=0)
    finding.add("files and folders left of images", len(files), at_most=0)
    memory.report(finding, "Memory in the course of it (at: generations)")
    return finding


def _add_slopes(finding: Finding, memory: Memory, generations: int) -> None:
    """By how much memory rises once everything is loaded."""
    warm = [row for row in memory.rows if row[0] >= generations / 5]
    for column, what in enumerate(memory.header[1:-2], 1):
        rise = slope([(row[0] / 1000, row[column]) for row in warm])
        finding.add(f"{what} per 1,000, after the first fifth", rise, at_most=LEAK_GOAL)


def _watch(load: Load, memory: Memory, trial: Trial) -> None:
    """Sample a hundred times on the way."""
    bar = trial.times("generations")
    every, shown = max(1, trial.repeat // 100), 0
    memory.sample(0)
    while not load.over:
        if load.begun >= memory.rows[-1][0] + every:
            memory.sample(load.begun)
        for _ in range(load.begun - shown):
            next(bar, None)
        shown = load.begun
        time.sleep(0.05)


SINGLE = tuple(f"{prefix}:" for prefix in (keys.GENERATION, keys.EVENTS, "guidepost:once", "rq:job"))
"""What the names of keys begin with that belong to single generations."""


def _leftovers(cluster: Cluster, connection: redis.Redis, of: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Names of keys and files that belong to single generations, once there was time enough for all to expire."""
    until = now() + 90
    while (found := _left(cluster, connection, of)) != ([], []) and now() < until:
        time.sleep(0.5)
    return found


def _left(cluster: Cluster, connection: redis.Redis, of: tuple[str, ...]) -> tuple[list[str], list[str]]:
    names = sorted(key.decode() for key in connection.scan_iter(count=1000))
    kept = [name for name in names if name.startswith(SINGLE) and name.startswith(of)]
    artifacts = Path(cluster.folder) / "artifacts" / "generations"
    return kept, sorted(map(str, artifacts.glob("*")))
