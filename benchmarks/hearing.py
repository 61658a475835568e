"""How soon a client hears that what it canceled is canceled: part of `service`, which says what is measured."""

from __future__ import annotations

import time
from statistics import median

from benchmarks.bench import Bench
from benchmarks.figure import Figure, Table
from benchmarks.workloads import LONG
from cli.client import Service
from jobs.request import GenerationRequest

CANCELS = 4
"""In each round."""
STEPS = 8
"""Before a cancellation: by their reports it is known how long one takes."""


def heard(bench: Bench, service: Service) -> tuple[Figure, Table]:
    found = [
        _canceled(service, request)
        for _ in bench.rounds("canceling over HTTP")
        for request in bench.drawn(LONG * bench.few(CANCELS, 1))
    ]
    steps = [seconds / step for seconds, step in found]
    name = "cancellation answered over HTTP until the client hears of its end, in steps"
    medians = tuple(1000 * median(values) for values in zip(*found, strict=True))
    table = Table("Milliseconds of a cancellation over HTTP, medians", ("until it is over", "a step"), [medians])
    return Figure(name, steps, "steps", id="R9", quantile=0.99, less=True), table


def _canceled(service: Service, request: GenerationRequest) -> tuple[float, float]:
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
