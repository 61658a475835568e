"""Seconds of one request alone: our engine in-process and diffusers, plain CFG with DDIM, 30 steps.

On a CPU torch's own number of threads is not the fastest for a small network, so diffusers has a second try, with one.
"""

from __future__ import annotations

from statistics import median
from typing import Any

import torch

from benchmarks.bench import Bench
from benchmarks.figure import Figure, Goal, Section, Table, ratios
from benchmarks.workloads import ALONE

GOAL = Goal(1.0)
ONE_THREAD = "diffusers, one thread"


def run(bench: Bench) -> Section:
    batches = bench.batches(ALONE)
    ways = {"ours": lambda k: bench.ours.run(batches[k]), "diffusers": lambda k: bench.stock.run(batches[k])}
    if bench.device.type == "cpu" and torch.get_num_threads() > 1:
        ways[ONE_THREAD] = lambda k: _on_one_thread(bench, batches[k])
    seconds = bench.times("single", ways)
    speeds = {side: ratios(spent, seconds["ours"]) for side, spent in seconds.items() if side != "ours"}
    figures = [
        Figure(f"speed of one request alone, ours / {side}", speed, goal=GOAL, id="R10")
        for side, speed in speeds.items()
    ]
    table = Table("Milliseconds", tuple(ways), [tuple(1000 * median(seconds[name]) for name in ways)])
    return Section(figures, [table])


def _on_one_thread(bench: Bench, batch: Any) -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return bench.stock.run(batch)
    finally:
        torch.set_num_threads(threads)
