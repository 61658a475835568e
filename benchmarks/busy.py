"""Share of the engine's time that is spent inside network forwards under eight mixed requests, and where the rest goes.

On an accelerator the host's time is what is shared out: a forward there counts until it is queued, not until it ends.
"""

from __future__ import annotations

import time
from typing import Any

import workers.engine
from benchmarks.bench import Bench
from benchmarks.figure import Figure, Goal, Section, Table
from benchmarks.stopwatch import Place, Stopwatch
from benchmarks.workloads import MIXED
from guidance.diagnostics import Diagnostics
from guidance.samplers.linear import LinearSolver
from workers.batcher import Batcher
from workers.engine import Engine
from workers.flight import Flight
from workers.lane import Lane

GOAL = Goal(0.95)


def run(bench: Bench) -> Section:
    batches = bench.batches(MIXED)
    busy, wall = [], []
    bar = bench.progress.add_task("busy", total=len(batches))
    for place, batch in enumerate(batches):
        forwards, engine, whole = _spent(bench, batch)
        if place:  # the first warms up
            busy.append(forwards / engine)
            wall.append(forwards / whole)
        bench.progress.advance(bar)
    figures = [
        Figure("time in network forwards / time of the engine's ticks", busy, goal=GOAL),
        Figure("time in network forwards / time from the first request in to the last image out", wall),
    ]
    return Section(figures, [_breakdown(bench)])


def _spent(bench: Bench, batch: Any) -> tuple[float, float, float]:
    """Seconds in forwards, in ticks, and from submission to the last image."""
    engine = bench.ours.engine
    forwards, ticks, began = engine.batcher.totals.seconds, engine.stats.busy_seconds, time.perf_counter()
    bench.ours.run(batch)
    whole = time.perf_counter() - began
    return engine.batcher.totals.seconds - forwards, engine.stats.busy_seconds - ticks, whole


def _breakdown(bench: Bench) -> Table:
    """Own time of each part over one workload, watched by timers that cost some microseconds a call."""
    watch, [*_, batch] = Stopwatch(), bench.batches(MIXED)
    with watch.watching(_places(bench)):
        bench.ours.run(batch)
    total = sum(watch.seconds.values())
    rows = [
        (name, 1000 * seconds, 100 * seconds / total, watch.calls[name])
        for name, seconds in sorted(watch.seconds.items(), key=lambda item: -item[1])
    ]
    return Table("Where the engine's time goes", ("part", "milliseconds", "percent", "calls"), rows)


def _places(bench: Bench) -> list[Place]:
    """What the engine's thread calls: prompts are encoded and samples decoded in others."""
    return [
        ("forwards, rows into a batch and out of it", bench.model, "evaluate"),
        ("grouping by batch key", Batcher, "evaluate"),
        ("who goes", workers.engine, "going"),
        ("solver steps", LinearSolver, "advance"),
        ("solver: input scaling", LinearSolver, "network_input"),
        ("diagnostics", Diagnostics, "record"),
        ("combine, correct, conditions and the coroutine", Lane, "receive"),
        ("progress reports", Flight, "report"),
        ("looks at samples", Flight, "look"),
        ("rest of the tick", Engine, "tick"),
    ]
