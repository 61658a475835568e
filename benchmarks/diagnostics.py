"""What it costs to record everything: eight mixed requests with `full` diagnostics over the same with `off`."""

from __future__ import annotations

from statistics import median

from benchmarks.bench import Bench
from benchmarks.figure import Figure, Goal, Section, Table, ratios
from benchmarks.workloads import MIXED

GOAL = Goal(1.05, at_most=True)


def run(bench: Bench) -> Section:
    batches = bench.batches(MIXED)

    def recorded(detail: str, k: int) -> None:
        bench.ours.run([request.model_copy(update={"diagnostics": detail}) for request in batches[k]])

    seconds = bench.times("diagnostics", {"full": lambda k: recorded("full", k), "off": lambda k: recorded("off", k)})
    cost = Figure("time with full diagnostics / off", ratios(seconds["full"], seconds["off"]), goal=GOAL, id="R7")
    table = Table("Seconds", tuple(seconds), [tuple(median(spent) for spent in seconds.values())])
    return Section([cost], [table])
