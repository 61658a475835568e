"""Seconds of one request alone: our engine in-process and diffusers, plain CFG with DDIM, 30 steps."""

from __future__ import annotations

from statistics import median

from benchmarks.bench import Bench
from benchmarks.figure import Figure, Goal, Section, Table, ratios
from benchmarks.workloads import ALONE

GOAL = Goal(1.0)


def run(bench: Bench) -> Section:
    batches = bench.batches(ALONE)
    seconds = bench.times(
        "single",
        {"ours": lambda k: bench.ours.run(batches[k]), "diffusers": lambda k: bench.stock.run(batches[k])},
    )
    speed = ratios(seconds["diffusers"], seconds["ours"])
    figure = Figure("speed of one request alone, ours / diffusers", speed, goal=GOAL, id="R10")
    table = Table("Milliseconds", ("ours", "diffusers"), [tuple(1000 * median(seconds[name]) for name in seconds)])
    return Section([figure], [table])
