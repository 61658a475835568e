"""What it costs that requests differ: eight methods, schedules, step counts and five solvers at once, over eight alike.

The eight alike are one plain CFG spec with eight prompts and one solver. Both sides take the same number of network
evaluations, exactly, so that the difference is ragged ends, the methods' own arithmetic and what batching them takes.
"""

from __future__ import annotations

from statistics import median

from benchmarks.bench import Bench
from benchmarks.figure import Figure, Goal, Section, Table, ratios
from benchmarks.workloads import EVEN, UNLIKE
from guidance.plan import plan
from jobs.request import GenerationRequest

GOAL = Goal(0.9)


def run(bench: Bench) -> Section:
    sides = {"different": bench.batches(UNLIKE), "alike": bench.batches(EVEN)}
    seconds = bench.times(
        "heterogeneity",
        {
            "different": lambda k: bench.ours.run(sides["different"][k]),
            "alike": lambda k: bench.ours.run(sides["alike"][k]),
        },
    )
    tax = ratios(seconds["alike"], seconds["different"])
    figure = Figure("throughput of 8 different requests / 8 alike, equal evaluations", tax, goal=GOAL, id="R2")
    rows = [(name, median(spent), _evaluations(bench, sides[name][-1])) for name, spent in seconds.items()]
    return Section([figure], [Table("Eight requests", ("", "seconds", "evaluations"), rows)])


def _evaluations(bench: Bench, requests: list[GenerationRequest]) -> int:
    return sum(plan(request.guidance, request.sampler, bench.model.info).nfe for request in requests)
