"""How soon a canceled request is out of the batch, in steps; and over HTTP, how soon its status says so.

In the engine: from the moment at which a 250-step job among three others is told to end until it has ended, over the
time of the others' tick in which that fell. Over HTTP: from the answer to the cancellation of a job that runs alone
until its event stream says that it is over, in steps of its own; that holds the worker's look at Redis, 50 ms apart.
"""

from __future__ import annotations

import time
from random import Random
from statistics import median

from benchmarks.bench import Bench
from benchmarks.figure import Figure, Goal, Section, Table
from benchmarks.served import served
from benchmarks.watched import Watched
from benchmarks.workloads import LONG
from cli.client import Service
from jobs.request import GenerationRequest

GOAL = Goal(1, at_most=True)
CANCELS, HTTP_CANCELS = 20, 4
"""In each round."""
OTHERS = 3
STEPS = 8
"""Before a cancellation over HTTP: by their reports it is known how long one takes."""


def run(bench: Bench) -> Section:
    random, inside, over_http = Random(0), list[tuple[float, float]](), list[tuple[float, float]]()
    for _ in bench.rounds("canceling"):
        with bench.ours.company(bench.drawn(LONG * OTHERS)) as [other, *_]:
            inside += [_canceled(bench, random, other) for _ in range(bench.few(CANCELS, 2))]
    with served(bench) as service:
        for _ in bench.rounds("canceling over HTTP"):
            requests = bench.drawn(LONG * bench.few(HTTP_CANCELS, 1))
            over_http += [_canceled_over_http(service, request) for request in requests]
    steps, steps_http = ([seconds / tick for seconds, tick in found] for found in (inside, over_http))
    figures = [
        Figure("canceled in the engine until out of the batch, in steps", steps, "steps", GOAL, "R9", quantile=0.99),
        Figure(
            "cancellation answered until status canceled, in steps", steps_http, "steps", None, "R9", 0.99, less=True
        ),
    ]
    rows = [
        (name, *(1000 * median(values) for values in zip(*found, strict=True)))
        for name, found in (("in the engine", inside), ("over HTTP", over_http))
    ]
    return Section(figures, [Table("Milliseconds, medians", ("", "until it is over", "a step"), rows)])


def _canceled(bench: Bench, random: Random, other: Watched) -> tuple[float, float]:
    """Seconds from cancel to end, and of the other's tick in which it was canceled."""
    [request] = bench.drawn(LONG)
    watched = bench.ours.submitted(request)
    watched.reached(2)
    time.sleep(random.uniform(0, median(other.ticks(watched.submitted, time.perf_counter()))))
    asked = watched.cancel()
    watched.outcome()
    done = other.updates.steps[-1][0]
    other.reached(done + 1)  # so that the tick is over
    return watched.updates.ended - asked, next(iter(other.ticks(asked, time.perf_counter())))


def _canceled_over_http(service: Service, request: GenerationRequest) -> tuple[float, float]:
    """Seconds from the answer to the end of the job's events, and of its steps."""
    job, reports, answered = service.submit(request.model_dump(mode="json")), list[tuple[int, float]](), 0.0
    for event in service.follow(job):
        now = time.perf_counter()
        if event["type"] == "step":
            reports.append((event["step"], now))
        if not answered and len(reports) > 1 and reports[-1][0] >= STEPS:
            service.http.post(f"{job['links']['self']}/cancel").raise_for_status()
            answered = time.perf_counter()
    if (status := service.get(job["links"]["self"])["status"]) != "canceled":
        raise RuntimeError(f"{job['id']} is {status}, and was canceled")
    (first, began), (last, ended) = reports[0], reports[-1]
    return now - answered, (ended - began) / (last - first)
