"""What the parts of the fault suite share: their size, their load, and the verdict at the end."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tqdm import tqdm

from jobs.record import Record, Status
from jobs.store import JobStore
from tests.faults.checker import check
from tests.faults.cluster import Cluster, Process
from tests.faults.finding import Finding
from tests.faults.history import History, now
from tests.faults.load import read_stored, settle
from tests.faults.mixture import Body, mixture, undisturbed

LOOK_SECONDS = 0.02
SETTLE_SECONDS = 120.0


@dataclass
class Trial:
    """How large one run of a part is. `quick`: with short leases and few repetitions, for every run of the tests."""

    folder: Path
    seed: int
    repeat: int
    quick: bool = True
    random: Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    @property
    def lease(self) -> float:
        """Seconds: the default, or one that tests can wait for."""
        return 1.5 if self.quick else 10.0

    def times(self, text: str, of: int = 1) -> Iterator[int]:
        """0, 1, ... with a progress bar on standard error; each stands for `of` repetitions."""
        return iter(tqdm(range(self.repeat // of), desc=text, mininterval=1, disable=self.quick))

    def bodies(self, steps: tuple[int, int] = (4, 20)) -> list[Body]:
        return mixture(self.seed, 12 if self.quick else 48, steps)


def judge(finding: Finding, cluster: Cluster, history: History, bodies: Sequence[Body]) -> None:
    """Wait for everything that was accepted to end, let the workers go, look again, and check what was said."""
    settle(history, cluster.urls, SETTLE_SECONDS)
    for worker in cluster.workers:
        status = worker.stop()  # whatever a stale attempt still had to say, it has said by then
        finding.insist(status == 0, f"a worker ended with status {status}")
    settle(history, cluster.urls, SETTLE_SECONDS)
    read_stored(history, cluster.store())
    accepted = {entry.id for entry in history.accepted}
    violations = check(history, undisturbed(list(bodies)))
    finding.broken += map(str, violations)
    finding.add("generations accepted", len(accepted))
    lost = [one for one in violations if one.promise in ("what was accepted ends", "what was accepted is known")]
    twice = [one for one in violations if one.promise in ("one end", "an end stays as it is")]
    finding.add("of these lost", len(lost), at_most=0)
    finding.add("ended twice, or otherwise than they were said to have", len(twice), at_most=0)
    finding.add("broken promises of any kind", len(violations), at_most=0)
    records = [record for record in map(cluster.store().get, accepted) if record]
    unlucky = sum(record.error is not None and record.error.code == "worker_lost" for record in records)
    finding.add("failed because each attempt was lost", unlucky)
    finding.add("run more than once", sum(record.attempts > 1 for record in records))


class Losses:
    """What ran on processes that were killed or stopped, and how soon others took it up."""

    def __init__(self, store: JobStore) -> None:
        self.store = store
        self.seconds: list[float] = []
        self.taken = 0
        self._waiting: dict[str, tuple[int, float]] = {}

    def note(self, worker: Process) -> int:
        """Everything that the record says runs on it, from now on. How many these are."""
        found = running_on(self.store, worker)
        self._waiting |= {record.id: (record.attempts, now()) for record in found}
        self.taken += len(found)
        return len(found)

    def look(self) -> bool:
        """Whether there is nothing left that still counts as running where it was."""
        for id, (attempts, since) in list(self._waiting.items()):
            record = self.store.get(id)
            if record is None or record.status != Status.RUNNING or record.attempts > attempts:
                self.seconds.append(now() - since)
                del self._waiting[id]
        return not self._waiting

    def watch(self, seconds: float) -> None:
        """Look again and again for so long."""
        until = now() + seconds
        while now() < until:
            self.look()
            time.sleep(LOOK_SECONDS)

    def wait(self, seconds: float) -> bool:
        """Until nothing is left, for at most so long."""
        until = now() + seconds
        while not self.look():
            if now() > until:
                return False
            time.sleep(LOOK_SECONDS)
        return True


def running_on(store: JobStore, worker: Process) -> list[Record]:
    """What the records say runs on a worker process."""
    mine = re.compile(rf"-{worker.pid}(-|$)")
    running = store.page(100, status=Status.RUNNING).records
    return [record for record in running if record.worker and mine.search(record.worker)]
