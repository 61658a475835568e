"""How soon a canceled request is out of the batch, in steps: a 250-step job among three others, at random moments.

From the moment at which it is told to end until it has ended, over the time of the others' tick in which that fell. How
soon a client hears of it is in `service`.
"""

from __future__ import annotations

import time
from random import Random
from statistics import median

from benchmarks.bench import Bench
from benchmarks.figure import Figure, Goal, Section, Table
from benchmarks.watched import Watched
from benchmarks.workloads import LONG

GOAL = Goal(1, at_most=True)
CANCELS = 20
"""In each round."""
OTHERS = 3


def run(bench: Bench) -> Section:
    random, found = Random(0), list[tuple[float, float]]()
    for _ in bench.rounds("canceling"):
        with bench.ours.company(bench.drawn(LONG * OTHERS)) as [other, *_]:
            found += [_canceled(bench, random, other) for _ in range(bench.few(CANCELS, 2))]
    steps = [seconds / tick for seconds, tick in found]
    figure = Figure(
        "canceled in the engine until out of the batch, in steps", steps, "steps", GOAL, id="R9", quantile=0.99
    )
    medians = tuple(1000 * median(values) for values in zip(*found, strict=True))
    return Section([figure], [Table("Milliseconds, medians", ("until it is over", "a step"), [medians])])


def _canceled(bench: Bench, random: Random, other: Watched) -> tuple[float, float]:
    """Seconds from cancel to end, and of the other's tick in which it was canceled."""
    [request] = bench.drawn(LONG)
    watched = bench.ours.submitted(request)
    watched.reached(2)
    time.sleep(random.uniform(0, median(other.ticks(watched.submitted, time.perf_counter()))))
    asked = watched.cancel()
    watched.outcome()
    other.reached(other.updates.steps[-1][0] + 1)  # so that the tick is over
    return watched.updates.ended - asked, next(iter(other.ticks(asked, time.perf_counter())))
