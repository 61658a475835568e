"""What a second worker process gains: sixteen 10-step requests over HTTP, two workers over one, a thread each.

Both services are up all the while, and one has nothing to do while the other is measured. On a machine of two cores the
gateway, Redis and the client share what the two workers use, so there is no goal.
"""

from __future__ import annotations

from statistics import median

from benchmarks.bench import Bench
from benchmarks.figure import Figure, Section, Table, ratios
from benchmarks.served import served, succeeded
from benchmarks.workloads import TEN
from cli.client import Service
from jobs.request import GenerationRequest

REQUESTS = 16


def run(bench: Bench) -> Section:
    batches = bench.batches(TEN * bench.few(REQUESTS, 2))
    with served(bench, "one-worker", threads=1) as one, served(bench, "two-workers", workers=2, threads=1) as two:
        seconds = bench.times(
            "scale-out",
            {"one worker": lambda k: _all(one, batches[k]), "two workers": lambda k: _all(two, batches[k])},
        )
    gain = Figure(
        "throughput of 2 worker processes / 1, a thread each",
        ratios(seconds["one worker"], seconds["two workers"]),
        id="R11",
    )
    rows = [(name, len(batches[0]) / median(spent)) for name, spent in seconds.items()]
    return Section([gain], [Table("Images per second", ("", "median"), rows)])


def _all(service: Service, requests: list[GenerationRequest]) -> None:
    for job in [service.submit(request.model_dump(mode="json")) for request in requests]:
        succeeded(service, job)
