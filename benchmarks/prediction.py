"""How far predictions of evaluations and seconds are from what comes, of requests alone and of mixes of eight.

First some requests and mixes run, from which the engine learns its pace. Then each random request (5 to 60 steps; CFG,
CFG in an interval, adaptive guidance; 1 to 4 images) is predicted and run; so is each mix of eight that begin together,
in which every request's seconds left are asked for at its begin and at half of its evaluations. The old ways beside
them: planned evaluations at rows a second inside of forwards since the start; for what runs, its own speed so far. The
error of a prediction is |predicted - actual| / actual. Decoding is part of it, encoding files and storing them is not.
"""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from queue import Empty
from random import Random
from statistics import median, quantiles

from benchmarks.bench import Bench
from benchmarks.figure import Figure, Goal, Section, Table
from benchmarks.workloads import Body, request
from guidance.plan import plan
from jobs.cost import Pace, ends, nearest
from jobs.request import GenerationRequest
from workers.forecast import Forecast
from workers.task import Outcome, Progress, Task

ALONE, MIXES, TOGETHER = 20, 8, 8
OLD = "the old way"
LEARNT = 4
"""Requests alone and mixes from which the pace is learnt."""
GOALS = {"seconds, alone": Goal(0.15, at_most=True), "seconds, mix": Goal(0.25, at_most=True)}
SPECS: list[Body] = [
    {"schedule": {"type": "constant", "weight": 5}},
    {"schedule": {"type": "interval", "weight": 5, "sigma_low": 0.3, "sigma_high": 5}},
    {"reuse": {"type": "adaptive"}},
]
SAMPLERS = ("ddim", "euler", "dpmpp_2m", "unipc")


@dataclass
class Errors:
    """By what was predicted, in the order in which it was."""

    found: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, predicted: float, actual: float) -> None:
        self.found[name].append(abs(predicted - actual) / actual)

    def figures(self) -> list[Figure]:
        """The median of each, by which it is judged."""
        return [
            Figure(f"median error of {name}", [median(values)], "", GOALS.get(name))
            for name, values in self.found.items()
            if not name.startswith(OLD)
        ]

    def table(self) -> Table:
        rows = [(name, median(values), _ninth_tenth(values), len(values)) for name, values in self.found.items()]
        return Table("|predicted - actual| / actual", ("prediction", "median", "90th percentile", "of"), rows)


def run(bench: Bench) -> Section:
    random, numbers, errors = Random(0), itertools.count(), Errors()
    alone, mixes, learnt = bench.few(ALONE, 2), bench.few(MIXES, 1), bench.few(LEARNT, 1)
    bar = bench.progress.add_task("prediction", total=2 * learnt + alone + mixes)
    for count, size, into in (
        (learnt, 1, None),
        (learnt, TOGETHER, None),
        (alone, 1, errors),
        (mixes, TOGETHER, errors),
    ):
        for _ in range(count):
            asked = [_drawn(bench, random, next(numbers)) for _ in range(size)]
            _predicted(bench, asked, into or Errors())
            bench.progress.advance(bar)
    return Section(errors.figures(), [errors.table()])


def _drawn(bench: Bench, random: Random, number: int) -> GenerationRequest:
    sampler = {"type": random.choice(SAMPLERS), "steps": random.randint(5, 60)}
    body = {"guidance": random.choice(SPECS), "sampler": sampler, "n": random.randint(1, 4)}
    return request(body, bench.model.info, number, 4 if bench.quick else None)


def _predicted(bench: Bench, asked: Sequence[GenerationRequest], errors: Errors) -> None:
    """Predict, run, compare."""
    kind = "alone" if len(asked) == 1 else "mix"
    pace, speed = _pace(bench, asked[0]), _old_speed(bench)
    plans = [[call.nfe for call in plan(one.guidance, one.sampler, bench.model.info).calls] for one in asked]
    planned = [one.n * sum(calls) for one, calls in zip(asked, plans, strict=True)]
    shares = [pace.share(one.guidance.deciders) if pace else 1.0 for one in asked]
    told = _run(bench, asked)
    seconds = max(each.ended for each in told)
    if pace is not None and speed is not None:
        expected = [[share * nfe for nfe in calls] for share, calls in zip(shares, plans, strict=True)]
        images = [(pace, calls) for one, calls in zip(asked, expected, strict=True) for _ in range(one.n)]
        errors.add(f"seconds, {kind}", max(ends(images)) + len(images) * pace.image, seconds)
        errors.add(f"{OLD}: seconds, {kind}", sum(planned) / speed, seconds)
    for each, nfe, share in zip(told, planned, shares, strict=True):
        errors.add(f"evaluations, {kind}", share * nfe, each.nfe)
        errors.add(f"{OLD}: evaluations, {kind}", nfe, each.nfe)
        for moment, (at, left, so_far) in each.asked.items():
            errors.add(f"seconds left, {kind}, asked at {moment}", left, each.ended - at)
            if so_far:
                errors.add(f"{OLD}: seconds left, {kind}, asked at {moment}", so_far, each.ended - at)


@dataclass
class Told:
    """What was said of one request, and what came; seconds from the moment that all were submitted."""

    asked: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """When, the seconds left as they were told, and by its speed so far."""
    ended: float = 0.0
    nfe: int = 0


def _run(bench: Bench, asked: Sequence[GenerationRequest]) -> list[Told]:
    tasks = [Task(f"{time.monotonic()}-{place}", one) for place, one in enumerate(asked)]
    told, forecast, began = [Told() for _ in tasks], Forecast(bench.ours.engine), time.perf_counter()
    for task in tasks:
        bench.ours.engine.submit(task)
    open = dict(zip(tasks, told, strict=True))
    while open:
        for task, each in list(open.items()):
            for update in _updates(task):
                now = time.perf_counter() - began
                if isinstance(update, Outcome):
                    each.ended, each.nfe = now, update.usage.nfe if update.usage else 0
                    del open[task]
                elif isinstance(update, Progress):
                    _ask(each, forecast, task, update, now)
    return told


def _ask(each: Told, forecast: Forecast, task: Task, update: Progress, now: float) -> None:
    moment = "its begin" if not each.asked else "its half" if 2 * update.nfe_done >= update.nfe_total else None
    if moment and moment not in each.asked and (left := forecast.left(task.id)):
        so_far = now * (update.nfe_total - update.nfe_done) / update.nfe_done if update.nfe_done else 0.0
        each.asked[moment] = now, left[0], so_far


def _updates(task: Task) -> list[object]:
    try:
        return [task.updates.get(timeout=0.005)]
    except Empty:
        return []


def _pace(bench: Bench, asked: GenerationRequest) -> Pace | None:
    assert asked.width is not None and asked.height is not None
    return nearest(bench.ours.engine.meter.paces(), asked.model, asked.width * asked.height)


def _old_speed(bench: Bench) -> float | None:
    totals = bench.ours.engine.batcher.totals
    return totals.rows / totals.seconds if totals.seconds else None


def _ninth_tenth(values: Sequence[float]) -> float:
    return quantiles(values, n=10, method="inclusive")[-1] if len(values) > 1 else values[0]
