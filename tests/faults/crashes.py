"""Workers that are killed, stopped, poisoned and asked to leave, under load."""

from __future__ import annotations

import time

import httpx

from jobs.record import Status
from tests.faults.cluster import Cluster
from tests.faults.finding import Finding
from tests.faults.history import now
from tests.faults.load import Load
from tests.faults.mixture import POISON, Body
from tests.faults.trial import LOOK_SECONDS, Losses, Trial, judge
from tests.workers.process import create, ended

DETECTION_SECONDS = 15.0
DRAIN_SECONDS = 0.3
GRACE_SECONDS = 5.0
"""What a process may take to end, beyond its time to drain."""
SLOW = {"slow": (0.01, 0.001)}
"""So that most of a generation's time is spent where a kill should find it."""
SHORT = {"lease_seconds": 1.5}


def killed_workers(trial: Trial) -> Finding:
    """Workers are killed with SIGKILL at random moments; a new one is started for each."""
    finding, bodies = Finding("killed_workers", killed_workers.__doc__ or "", trial.seed), trial.bodies()
    with Cluster(trial.folder, workers=3, faults=SLOW, settings={"lease_seconds": trial.lease}) as cluster:
        losses = Losses(cluster.store())
        clients, pause = (10, 1.0) if trial.quick else (40, 3.0)  # many of them wait for a lease to end
        with Load(cluster.urls, bodies, trial.seed, clients=clients) as load:
            for _ in trial.times("kills"):
                losses.watch(trial.random.expovariate(1 / pause))
                worker = trial.random.choice(cluster.workers)
                worker.kill()
                losses.note(worker)
                cluster.replace(worker)
            back = losses.wait(4 * trial.lease + 30)
        finding.insist(back, "something still counted as running on a killed worker")
        judge(finding, cluster, load.history, bodies)
    finding.add("workers killed", trial.repeat)
    finding.add("generations that ran on them", losses.taken)
    finding.add_times("from the kill until it was noticed", losses.seconds, at_most=DETECTION_SECONDS)
    return finding


def stopped_workers(trial: Trial) -> Finding:
    """A worker is stopped with SIGSTOP for longer than its leases, others take over, then it goes on."""
    finding, bodies = Finding("stopped_workers", stopped_workers.__doc__ or "", trial.seed), trial.bodies()
    with Cluster(trial.folder, workers=2, faults=SLOW, settings=SHORT) as cluster:
        losses = Losses(cluster.store())
        with Load(cluster.urls, bodies, trial.seed) as load:
            for _ in trial.times("stops"):
                worker, back = trial.random.choice(cluster.workers), False
                until = now() + 60
                while not back and now() < until:  # until it is stopped while something runs on it
                    time.sleep(trial.random.uniform(0, 0.1))
                    worker.pause()
                    back = bool(losses.note(worker)) and losses.wait(30)
                    worker.resume()
                finding.insist(back, "what ran on a stopped worker was not taken over")
        judge(finding, cluster, load.history, bodies)
        stale = (cluster.folder / "worker.log").read_text().count("after its attempt was over")
    finding.add("ends that stopped workers reported later, without effect", stale)
    finding.add("workers stopped", trial.repeat)
    finding.add("generations taken over from them", losses.taken)
    finding.add_times("from the stop until it was noticed", losses.seconds)
    return finding


def poison(trial: Trial) -> Finding:
    """Requests that kill the worker that runs them, among others; each dead worker is started again."""
    finding, bodies = Finding("poison", poison.__doc__ or "", trial.seed), trial.bodies()
    faults = {**SLOW, "poison": (POISON,)}
    with Cluster(trial.folder, workers=2, faults=faults, settings=SHORT) as cluster:
        store, kills = cluster.store(), []
        with Load(cluster.urls, bodies, trial.seed, clients=4) as load:
            for _ in trial.times("poisoned"):
                kills.append(_kills(cluster, load, finding))
        judge(finding, cluster, load.history, bodies)
        store.redis.close()
    finding.add("poisoned requests", trial.repeat)
    finding.add("most kills by one", max(kills), at_most=3)
    finding.add("fewest kills by one", min(kills), at_least=3)
    return finding


def _kills(cluster: Cluster, load: Load, finding: Finding) -> int:
    """Post one that kills, revive whom it kills, and count them until it has ended."""
    store, kills, until = cluster.store(), 0, now() + 120
    body: Body = load.bodies[0] | {"label": POISON, "n": 1}
    with httpx.Client(base_url=cluster.urls[0], timeout=30) as http:
        answer = http.post("/v1/generations", json=body)
        while answer.status_code == 503:  # both workers may be dead at this moment
            _revive(cluster)
            time.sleep(LOOK_SECONDS)
            answer = http.post("/v1/generations", json=body)
        id = answer.raise_for_status().json()["id"]
    while (record := store.get(id)) and not record.terminal and now() < until:
        kills += _revive(cluster)
        time.sleep(LOOK_SECONDS)
    kills += _revive(cluster)
    finding.insist(record is not None and record.status == Status.FAILED, f"{id} is {record and record.status}")
    if record is not None:
        code = record.error.code if record.error else None
        finding.insist(code == "worker_lost", f"{id} failed with {code}")
        finding.insist(record.attempts == 3, f"{id} had {record.attempts} attempts")
    store.redis.close()
    return kills


def _revive(cluster: Cluster) -> int:
    """Start a worker for each that died. How many these were."""
    dead = [worker for worker in cluster.workers if not worker.alive]
    for worker in dead:
        cluster.replace(worker)
    return len(dead)


def between_pop_and_start(trial: Trial) -> Finding:
    """Workers die between RQ's pop and the claim, or between the claim and the start."""
    finding = Finding("between_pop_and_start", between_pop_and_start.__doc__ or "", trial.seed)
    waits: dict[str, list[float]] = {"popped": [], "claimed": []}
    with Cluster(trial.folder, gateways=1, workers=0, settings={"lease_seconds": trial.lease}) as cluster:
        store = cluster.store()
        for k in trial.times("deaths"):
            fault = ("popped", "claimed")[k % 2]
            victim = cluster.start_worker(faults={fault: ()})
            id = create(store, trial.bodies()[0])
            victim.process.join()
            died = now()
            cluster.dismiss(victim)
            heir = cluster.start_worker()
            ready = now()
            record = ended(store, id)
            finding.insist(record.status == Status.SUCCEEDED, f"{id} is {record.status}, attempt {record.attempts}")
            lives = 1 if fault == "popped" else 2
            finding.insist(record.attempts == lives, f"{id}: {record.attempts} attempts after one was {fault}")
            assert record.started_at is not None
            # By the clock of Redis, which is this machine's; from when there was somebody who could.
            waits[fault].append(max(0.0, record.started_at.timestamp() - (time.time() - now() + max(died, ready))))
            cluster.dismiss(heir)
        store.redis.close()
    finding.add("deaths", trial.repeat)
    finding.add_times("until it ran, after a death before the claim", waits["popped"], at_most=10)
    finding.add_times("until it ran, after a death before the start", waits["claimed"], at_most=DETECTION_SECONDS)
    return finding


def drained_workers(trial: Trial) -> Finding:
    """Workers are asked to end with SIGTERM, under load that is partly longer than they may stay for."""
    finding, bodies = Finding("drained_workers", drained_workers.__doc__ or "", trial.seed), trial.bodies()
    seconds: list[float] = []
    settings = {"lease_seconds": trial.lease, "drain_seconds": DRAIN_SECONDS}
    with Cluster(trial.folder, workers=2, faults=SLOW, settings=settings) as cluster:
        with Load(cluster.urls, bodies, trial.seed) as load:
            for _ in trial.times("drains"):
                time.sleep(trial.random.expovariate(4))
                worker, began = trial.random.choice(cluster.workers), now()
                status = worker.stop()
                seconds.append(now() - began)
                finding.insist(status == 0, f"exit status {status} after {seconds[-1]:.1f} s")
                cluster.replace(worker)
        judge(finding, cluster, load.history, bodies)
    finding.add("workers drained", trial.repeat)
    finding.add_times("from SIGTERM to the end of the process", seconds, at_most=DRAIN_SECONDS + GRACE_SECONDS)
    return finding
