"""How much longer a short request takes because long ones were there before: 4 steps among jobs of 250.

Among as many as fill one forward with it, and among twice as many as fit in one. Over its time alone, in the same
round. A forward of many rows takes longer than one of two, so that even a perfectly fair engine is not at 1.
"""

from __future__ import annotations

import time
from random import Random
from statistics import median

from benchmarks.bench import Bench
from benchmarks.figure import Figure, Goal, Section, Table
from benchmarks.workloads import LONG, SHORT

GOAL = Goal(3, at_most=True)
SHORTS = 8
"""One after another in each round and company."""
ROWS = 2
"""Of each job in a forward."""


def run(bench: Bench) -> Section:
    random, fit = Random(0), bench.settings.max_batch_rows // ROWS
    counts = {"alone": 0, f"among {fit - 1}": fit - 1, f"among {2 * fit}": 2 * fit}
    seconds: dict[str, list[float]] = {name: [] for name in counts}
    slower: dict[str, list[float]] = {name: [] for name in counts}
    for _ in bench.rounds("fairness"):
        found = {name: _among(bench, random, count) for name, count in counts.items()}
        for name, spent in found.items():
            seconds[name] += spent
            slower[name] += [one / median(found["alone"]) for one in spent]
    figures = [
        Figure(f"4-step request {name} jobs of 250 steps, time over alone", values, goal=GOAL, id="R6", quantile=0.99)
        for name, values in slower.items()
        if name != "alone"
    ]
    rows = [(name, 1000 * median(spent), 1000 * max(spent)) for name, spent in seconds.items()]
    return Section(figures, [Table("Milliseconds of the 4-step request", ("", "median", "longest"), rows)])


def _among(bench: Bench, random: Random, count: int) -> list[float]:
    """Seconds of short requests, one after another, while `count` long jobs run."""
    spent = []
    with bench.ours.company(bench.drawn(LONG * count)) as others:
        for _ in range(bench.few(SHORTS, 1)):
            if others:  # not always at the end of a tick
                time.sleep(random.uniform(0, median(others[0].ticks(0, time.perf_counter()))))
            [request] = bench.drawn(SHORT)
            watched = bench.ours.submitted(request)
            watched.succeeded()
            spent.append(watched.updates.ended - watched.submitted)
    return spent
