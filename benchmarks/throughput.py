"""Images per second of eight concurrent requests: one engine, all submitted at once, over diffusers one after another.

`plain`: eight scales of plain CFG, four solvers, several step counts; equal evaluations on both sides. `alike`: one
spec, eight prompts; here diffusers is given all eight in one call, its own way of batching. `sparing`: eight specs in
an interval of noise levels, half of them adaptive too, so that they take fewer evaluations. In place of these diffusers
runs plain CFG at the same solvers and steps: its `StableDiffusionPipeline` has `guidance_scale` and `guidance_rescale`,
one number each for the whole call; its guiders (APG, PAG and so on, with intervals) belong to modular pipelines, of
which there is none for Stable Diffusion 1 and 2; and adaptive guidance it has nowhere. An interval can be had by hand
with `callback_on_step_end`: the last figure compares with that. What evaluations each side took is in a table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from benchmarks.bench import Bench
from benchmarks.figure import Figure, Goal, Section, Table, ratios
from benchmarks.workloads import ALIKE, PLAIN, SPARING, Workload
from guidance.plan import plan
from jobs.request import GenerationRequest

PLAIN_GOAL, SPARING_GOAL = Goal(1.8), Goal(2.5)
Requests = Sequence[GenerationRequest]
Other = Callable[[Requests], Any]


def run(bench: Bench) -> Section:
    stock = bench.stock
    plain = Comparison(bench, "plain", PLAIN, {"diffusers": stock.run})
    alike = Comparison(bench, "alike", ALIKE, {"diffusers": stock.run_alike})
    sparing = Comparison(bench, "sparing", SPARING, {"diffusers": stock.run, "by hand": stock.run_in_intervals})
    figures = [
        Figure("8 plain CFG requests, ours / diffusers", plain.gain("diffusers"), goal=PLAIN_GOAL, id="R10"),
        Figure("8 sparing requests, ours / diffusers", sparing.gain("diffusers"), goal=SPARING_GOAL, id="R10"),
        Figure("8 alike requests, ours / diffusers in one call", alike.gain("diffusers")),
        Figure("8 sparing requests, ours / diffusers with intervals by hand", sparing.gain("by hand")),
    ]
    rates = [row for compared in (plain, alike, sparing) for row in compared.rates]
    tables = [Table("Images per second", ("workload", "ours", "diffusers"), rates)]
    return Section(figures, [*tables, _evaluations(bench, sparing)])


class Comparison:
    """A workload through our engine and through diffusers in turn."""

    def __init__(self, bench: Bench, name: str, workload: Workload, others: dict[str, Other]) -> None:
        self.name, self.workload, self.others = name, workload, others
        self.batches = bench.batches(workload)
        self.nfe: list[int] = []
        """Evaluations that the latest repetition took, by request."""

        def ours(k: int) -> None:
            self.nfe = [outcome.usage.nfe if outcome.usage else 0 for outcome in bench.ours.run(self.batches[k])]

        def theirs(other: Other) -> Callable[[int], Any]:
            return lambda k: other(self.batches[k])

        ways = {"ours": ours, **{side: theirs(other) for side, other in others.items()}}
        self.seconds = bench.times(f"throughput, {name}", ways)

    def gain(self, side: str) -> list[float]:
        return ratios(self.seconds[side], self.seconds["ours"])

    @property
    def rates(self) -> list[tuple[str, float, float]]:
        """Medians, in images a second, against each other side."""
        count, ours = len(self.workload), median(self.seconds["ours"])
        return [
            (
                self.name if side == "diffusers" else f"{self.name}, {side}",
                count / ours,
                count / median(self.seconds[side]),
            )
            for side in self.others
        ]


def _evaluations(bench: Bench, compared: Comparison) -> Table:
    """Network evaluations of one image: where an interval or a weight of 1 spares some, ours takes fewer."""
    rows: list[tuple[str, int, int, int]] = []
    for (name, _), request, nfe in zip(compared.workload, compared.batches[-1], compared.nfe, strict=True):
        plain = plan(request.guidance, request.sampler, bench.model.info).plain_nfe
        rows.append((name, nfe, plain, bench.stock.interval(request).evaluations))
    rows.append(("all", *(sum(row[side] for row in rows) for side in (1, 2, 3))))  # type: ignore[arg-type, misc]
    header = ("request", "ours", "diffusers", "intervals by hand")
    return Table(f"Network evaluations of the {compared.name} workload", header, rows)
