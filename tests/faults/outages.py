"""Redis that is killed, away and stopped, and a whole service that is killed with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import psutil

from cli.showcase import READY
from tests.faults.cluster import Cluster
from tests.faults.crashes import SLOW
from tests.faults.finding import Finding
from tests.faults.history import Accepted, History, now
from tests.faults.load import Load
from tests.faults.mixture import Body, files
from tests.faults.trial import Trial, judge

PROBE_SECONDS = 0.25
START_SECONDS = 10.0
RECOVERY_SECONDS = 10.0
SMALL: Body = {"model": "gaussians", "label": 0, "sampler": {"type": "ddim", "steps": 1}}


def killed_redis(trial: Trial) -> Finding:
    """Redis is killed with SIGKILL under load and started again on its files."""
    finding, bodies, seconds = Finding("killed_redis", killed_redis.__doc__ or "", trial.seed), trial.bodies(), []
    with Cluster(trial.folder, workers=2, faults=SLOW, settings=trial.settings) as cluster:
        with Load(cluster.urls, bodies, trial.seed) as load:
            for _ in trial.times("kills"):
                time.sleep(trial.random.uniform(0.5, 2.0 if trial.quick else 5.0))
                cluster.redis.kill()
                began = now()
                cluster.redis.start()
                seconds.append(_until_accepted(cluster, began))
        _insist_on_keys(finding, cluster, load)
        _insist_on_processes(finding, cluster)
        judge(finding, cluster, load.history, bodies)
    finding.add("kills of Redis", trial.repeat)
    finding.add_times("from the kill until a create was accepted", seconds, at_most=RECOVERY_SECONDS)
    return finding


def killed_gateways(trial: Trial) -> Finding:
    """One of two gateways is killed with SIGKILL under load and started again at its port."""
    finding, bodies = Finding("killed_gateways", killed_gateways.__doc__ or "", trial.seed), trial.bodies()
    with Cluster(trial.folder, gateways=2, workers=2, faults=SLOW, settings=trial.settings) as cluster:
        with Load(cluster.urls, bodies, trial.seed) as load:
            for _ in trial.times("kills"):
                time.sleep(trial.random.uniform(0.2, 1.0))
                gateway = trial.random.choice(cluster.gateways)
                gateway.kill()
                cluster.revive(gateway)
        _insist_on_keys(finding, cluster, load)
        judge(finding, cluster, load.history, bodies)
    finding.add("gateways killed", trial.repeat)
    return finding


def redis_away(trial: Trial) -> Finding:
    """Redis is gone for a while under load, then silent for as long (SIGSTOP)."""
    finding, bodies = Finding("redis_away", redis_away.__doc__ or "", trial.seed), trial.bodies()
    away, settings = 30.0, trial.settings
    if trial.quick:
        away, settings = 2.5, settings | {"redis_timeout_seconds": 1.0}
    with Cluster(trial.folder, workers=2, faults=SLOW, settings=settings) as cluster:
        redis = cluster.redis
        with Load(cluster.urls, bodies, trial.seed) as load:
            for _ in trial.times("outages"):
                for begin, end in ((redis.stop, redis.start), (redis.pause, redis.resume)):
                    time.sleep(1.0)
                    _one_outage(finding, cluster, begin, end, away)
        _insist_on_processes(finding, cluster)
        judge(finding, cluster, load.history, bodies)
    finding.add("outages", 2 * trial.repeat)
    finding.add("seconds that each lasted", away)
    return finding


def _one_outage(
    finding: Finding, cluster: Cluster, begin: Callable[[], None], end: Callable[[], None], seconds: float
) -> None:
    """What the gateway answers meanwhile: 503 with Retry-After, and nothing else once it has noticed."""
    begin()
    answers: Counter[str] = Counter()
    until = now() + seconds
    with httpx.Client(base_url=cluster.urls[0], timeout=30) as http:
        while now() < until:
            answer = http.get("/v1/generations")
            answers[f"{answer.status_code}{'' if 'Retry-After' in answer.headers else ' without Retry-After'}"] += 1
            time.sleep(PROBE_SECONDS)
    end()
    said = f"while Redis was away ({begin.__name__}) GET was answered {dict(answers)}"
    finding.insist(set(answers) == {"503"}, said)
    back = f"until a create was accepted after {begin.__name__}"
    finding.add(back, _until_accepted(cluster, now()), "s", at_most=RECOVERY_SECONDS)


def _until_accepted(cluster: Cluster, began: float) -> float:
    """Seconds since then until a create is accepted."""
    with httpx.Client(base_url=cluster.urls[0], timeout=30) as http:
        while now() < began + 60:
            answer = http.post("/v1/generations", json=SMALL)
            if answer.status_code == 202:
                break
            assert answer.status_code == 503, answer.text
            time.sleep(0.05)
    return now() - began


def _insist_on_processes(finding: Finding, cluster: Cluster) -> None:
    for process in (*cluster.gateways, *cluster.workers):
        finding.insist(process.alive, f"a {process.command[0]} died with status {process.process.exitcode}")


def _insist_on_keys(finding: Finding, cluster: Cluster, load: Load) -> None:
    """Every idempotency key that was accepted still gives the same generation."""
    with httpx.Client(base_url=cluster.urls[0], timeout=30) as http:
        forgotten = forgotten_keys(http, load.history)
    finding.add("idempotency keys asked again", len(keys_of(load.history)))
    finding.add("of these forgotten", forgotten, at_most=0)
    finding.insist(not forgotten, f"{forgotten} idempotency keys were forgotten")


def keys_of(history: History) -> list[Accepted]:
    """Accepted with an idempotency key."""
    return [entry for entry in history.accepted if entry.key is not None]


def forgotten_keys(http: httpx.Client, history: History) -> int:
    forgotten = 0
    for entry in keys_of(history):
        headers = {"Idempotency-Key": entry.key or "", "Content-Type": "application/json"}
        again = http.post("/v1/generations", content=entry.request, headers=headers).raise_for_status()
        forgotten += again.json()["id"] != entry.id or again.headers.get("Idempotent-Replayed") != "true"
    return forgotten


def killed_tree(trial: Trial) -> Finding:
    """Every process of `guidepost up` is killed at once, Redis too, and it is started again on its data."""
    finding, bodies, seconds = Finding("killed_tree", killed_tree.__doc__ or "", trial.seed), trial.bodies((20, 60)), []
    history = History()
    for k in trial.times("kills"):
        with up(trial) as (url, process, ready):
            seconds += [ready] if k else []
            with Load([url], bodies, trial.seed + k, clients=8) as load:
                time.sleep(trial.random.uniform(1.0, 4.0))
                _kill_tree(process)
                load.give_up()
            for entry in load.history:
                history.add(entry)
    with up(trial) as (url, process, ready):
        seconds.append(ready)
        with httpx.Client(base_url=url, timeout=90) as http:
            _insist_on_all(finding, http, history)
    finding.add("kills of all processes", trial.repeat)
    finding.add_times("from the start until it was ready again", seconds, at_most=START_SECONDS)
    return finding


def _insist_on_all(finding: Finding, http: httpx.Client, history: History) -> None:
    """Each one that was accepted is there and ends with its files; each key gives what it gave."""
    accepted, wrong = {entry.id: entry for entry in history.accepted}, 0
    for id, entry in accepted.items():
        job = http.get(f"/v1/generations/{id}", params={"wait": 60}).raise_for_status().json()
        shown = tuple(image["sha256"] for image in job["images"])
        if job["status"] != "canceled":
            right = job["status"] == "succeeded" and shown == files(entry.request)
            finding.insist(right, f"{id} is {job['status']}, attempt {job['attempts']}")
            wrong += not right
    forgotten = forgotten_keys(http, history)
    finding.insist(not forgotten, f"{forgotten} idempotency keys were forgotten")
    finding.add("generations accepted", len(accepted))
    finding.add("of these lost, or with other files", wrong, at_most=0)
    finding.add("idempotency keys asked again", len(keys_of(history)))
    finding.add("of these forgotten", forgotten, at_most=0)


@contextmanager
def up(trial: Trial) -> Iterator[tuple[str, subprocess.Popen[str], float]]:
    """`guidepost up` as a user starts it: its URL, its process, and the seconds until it said that it was ready."""
    argv = [sys.executable, "-m", "cli", "up", "--port", "0", "--data-dir", str(trial.folder / "data")]
    ours = {"GUIDEPOST_MODELS": "gaussians", "GUIDEPOST_REDIS_URL": "", "PYTHONPATH": os.getcwd()}
    ours |= {f"GUIDEPOST_{name.upper()}": str(value) for name, value in trial.settings.items()}
    began = now()
    with (
        (trial.folder / "up.log").open("a") as log,
        subprocess.Popen(argv, env=os.environ | ours, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            found = next((found for line in process.stdout if (found := READY.search(line))), None)
            assert found, (trial.folder / "up.log").read_text()
            yield found[1], process, now() - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _kill_tree(process: subprocess.Popen[str]) -> None:
    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for one in tree:  # none may see another die: the supervisor would start it again, and stop all when it ends
        one.suspend()
    for one in tree:
        one.kill()
    psutil.wait_procs(tree[1:], timeout=30)
    process.wait()
