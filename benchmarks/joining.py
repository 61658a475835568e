"""How long a request waits for its first step where another runs: short ones join a 250-step job at random moments.

From the hand-over to the engine until the first step is reported: the rest of the tick that is under way, and its own.
Its prompt is encoded within that time. Counted in ticks that end, and measured in units of a tick while both run.
"""

from __future__ import annotations

import time
from random import Random
from statistics import median

from benchmarks.bench import Bench
from benchmarks.figure import Figure, Goal, Section, Table
from benchmarks.watched import Watched
from benchmarks.workloads import LONG, SHORT

GOAL = Goal(2, at_most=True)
JOINS = 24
"""In the life of one long job, which takes 250 ticks."""
MARGIN = 5
"""Ticks of the long job before the first join, by which it is known how long one takes."""


def run(bench: Bench) -> Section:
    random, waits, ticks = Random(0), list[float](), list[float]()
    units, alone = list[float](), list[float]()
    for _ in bench.rounds("joining"):
        with bench.ours.company(bench.drawn(LONG)) as [long]:
            began = long.reached(MARGIN)
            tick = median(long.ticks(0, began))
            joined = [_joined(bench, random, tick) for _ in range(bench.few(JOINS, 2))]
            both = median(seconds for one in joined for seconds in long.ticks(one.reached(1), one.updates.ended))
        waits += [(one.reached(1) - one.submitted) / both for one in joined]
        ticks += [float(len(long.ticks(one.submitted, one.reached(1)))) for one in joined]
        units.append(both)
        alone.append(tick)
    figures = [
        Figure("ticks until the first step of a request that joins", ticks, "ticks", GOAL, id="R5", quantile=0.99),
        Figure("the same, time over that of a tick", waits, "ticks", GOAL, id="R5", quantile=0.99),
    ]
    rows = [("of the long job alone", 1000 * median(alone)), ("while both run", 1000 * median(units))]
    return Section(figures, [Table("Milliseconds of a tick", ("", "median"), rows)])


def _joined(bench: Bench, random: Random, tick: float) -> Watched:
    """A short request, submitted at a random moment within a tick, once it has ended."""
    [request] = bench.drawn(SHORT)
    time.sleep(random.uniform(0, tick))
    watched = bench.ours.submitted(request)
    watched.succeeded()
    return watched
