"""Images per second of eight concurrent requests: one engine, all submitted at once, over diffusers one after another.

Three workloads. `mixed`: eight different guidance specs, solvers and step counts; diffusers runs plain CFG in their
place, having no equivalent. `plain`: the same solvers and steps under plain CFG, so that both sides take equal network
evaluations. `alike`: one spec, eight prompts; here diffusers is given all eight in one call, its own way of batching.
The ceiling beside them is what batching could gain if nothing but the network took time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from benchmarks import ceiling
from benchmarks.bench import Bench
from benchmarks.figure import Figure, Goal, Section, Table, ratios
from benchmarks.workloads import ALIKE, MIXED, PLAIN, Workload
from guidance.plan import plan
from jobs.request import GenerationRequest

GOAL = Goal(1.8)
Seconds = dict[str, list[float]]
Other = Callable[[Sequence[GenerationRequest]], Any]


def run(bench: Bench) -> Section:
    stock = bench.stock
    mixed = _compare(bench, "mixed", MIXED, stock.run)
    plain = _compare(bench, "plain", PLAIN, stock.run)
    alike = _compare(bench, "alike", ALIKE, stock.run_alike)
    figures = [
        Figure("throughput, 8 mixed requests, ours / diffusers", _gain(mixed), goal=GOAL),
        Figure("throughput, 8 plain CFG requests, ours / diffusers", _gain(plain), goal=GOAL),
        Figure("throughput, 8 alike requests, ours / diffusers in one call", _gain(alike)),
        *ceiling.figures(bench),
    ]
    return Section(figures, [_rates({"mixed": mixed, "plain": plain, "alike": alike}), _evaluations(bench)])


def _compare(bench: Bench, name: str, workload: Workload, other: Other) -> Seconds:
    batches = bench.batches(workload)
    ways = {"ours": lambda k: bench.ours.run(batches[k]), "diffusers": lambda k: other(batches[k])}
    return bench.times(f"throughput, {name}", ways)


def _gain(seconds: Seconds) -> list[float]:
    return ratios(seconds["diffusers"], seconds["ours"])


def _rates(measured: dict[str, Seconds]) -> Table:
    """Medians, in images a second."""
    rows = [(name, 8 / median(seconds["ours"]), 8 / median(seconds["diffusers"])) for name, seconds in measured.items()]
    return Table("Images per second", ("workload", "ours", "diffusers"), rows)


def _evaluations(bench: Bench) -> Table:
    """Network evaluations of one image: where an interval or a weight of 1 spares some, ours takes fewer."""
    rows = []
    for (name, _), request in zip(MIXED, bench.batches(MIXED)[0], strict=True):
        planned = plan(request.guidance, request.sampler, bench.model.info)
        rows.append((name, planned.nfe, planned.plain_nfe))
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    return Table("Network evaluations of the mixed workload", ("request", "ours", "diffusers"), rows)
