"""Share of the engine's time that is spent inside network forwards under eight mixed requests, and where the rest goes.

On an accelerator the host's time is what is shared out: a forward there counts until it is queued, not until it ends.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.bench import Bench
from benchmarks.figure import Figure, Goal, Section, Table
from benchmarks.stopwatch import Place, Stopwatch
from benchmarks.workloads import MIXED
from guidance.diagnostics import Diagnostics
from guidance.samplers.solver import Solver
from workers import flight
from workers.batcher import Batcher
from workers.encoder import Encoder
from workers.engine import Engine
from workers.lane import Lane

GOAL = Goal(0.9)


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
    watch, [batch, *_] = Stopwatch(), bench.batches(MIXED)
    with watch.watching(_places(bench)):
        bench.ours.run(batch)
    total = sum(watch.seconds.values())
    rows = [
        (name, 1000 * seconds, 100 * seconds / total, watch.calls[name])
        for name, seconds in sorted(watch.seconds.items(), key=lambda item: -item[1])
    ]
    return Table("Where the engine's time goes", ("part", "milliseconds", "percent", "calls"), rows)


def _places(bench: Bench) -> list[Place]:
    model = bench.model
    return [
        ("network", model.unet, "forward"),
        ("rows into a batch and out of it", model, "evaluate"),
        ("grouping by batch key", Batcher, "evaluate"),
        ("solver steps", Solver, "advance"),
        ("solver: input scaling", Solver, "network_input"),
        ("solver: made", Solver, "__init__"),
        ("diagnostics: measured", Diagnostics, "record"),
        ("diagnostics: columns", Diagnostics, "columns"),
        ("combine, correct, conditions and the coroutine", Lane, "receive"),
        ("prompts encoded", Encoder, "conditions"),
        ("admission: plan and first noise", Engine, "_board"),
        ("latents decoded", model, "decode"),
        ("image to bytes", flight, "to_bytes"),
        ("progress reports", flight.Flight, "report"),
        ("rest of the tick", Engine, "tick"),
    ]
