"""The parts of the fault suite, with their sizes in a run of the tests and in a soak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.backlog import long_line
from tests.faults.crashes import between_pop_and_start, drained_workers, killed_workers, poison, stopped_workers
from tests.faults.finding import Finding
from tests.faults.history import now
from tests.faults.hosts import unplugged_hosts
from tests.faults.outages import killed_gateways, killed_redis, killed_tree, redis_away
from tests.faults.pressure import endurance, overload
from tests.faults.scale import fairness, scale_out
from tests.faults.trial import Trial


@dataclass(frozen=True)
class Part:
    """`repeat` is what its docstring speaks of: kills, requests, seconds."""

    run: Callable[[Trial], Finding]
    quick: int
    long: int

    @property
    def name(self) -> str:
        return self.run.__name__

    def find(self, folder: Path, seed: int, repeat: int, *, quick: bool) -> Finding:
        began = now()
        finding = self.run(Trial(folder, seed, repeat, quick))
        finding.seconds = now() - began
        return finding


PARTS = (
    Part(killed_workers, quick=3, long=200),
    Part(stopped_workers, quick=2, long=50),
    Part(unplugged_hosts, quick=1, long=50),
    Part(poison, quick=1, long=10),
    Part(between_pop_and_start, quick=2, long=100),
    Part(drained_workers, quick=3, long=100),
    Part(killed_gateways, quick=2, long=100),
    Part(killed_redis, quick=2, long=20),
    Part(redis_away, quick=1, long=1),
    Part(killed_tree, quick=1, long=5),
    Part(overload, quick=3, long=180),
    Part(endurance, quick=60, long=10_000),
    Part(scale_out, quick=1, long=3),
    Part(long_line, quick=500, long=100_000),
    Part(fairness, quick=40, long=500),
)
BY_NAME = {part.name: part for part in PARTS}
