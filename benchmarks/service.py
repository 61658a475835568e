"""What the service adds to one request: HTTP, Redis, queue, PNG and storage, over the engine in this process.

The real thing: `guidepost up` with one worker process of as many threads, posts with `Prefer: wait`, then the image's
bytes fetched. The same request runs in this process in turn, while the worker has nothing to do; there it ends when its
pixels are in memory. Many pairs, since the network's own time varies by more than what is looked for. The same again
with the analytic model `gaussians`, which takes almost no time itself: what is left is the service's own.

And how soon a client hears that what it canceled is canceled: from the answer to the cancellation of a 250-step job
until the job's event stream says that it is over, in steps of its own. The worker looks at Redis each 50 ms for that.
"""

from __future__ import annotations

from contextlib import closing
from statistics import median

from benchmarks.bench import Bench
from benchmarks.figure import Figure, Goal, Section, Table, ratios
from benchmarks.hearing import heard
from benchmarks.ours import Ours
from benchmarks.served import generate, served
from benchmarks.workloads import TWENTY
from cli.client import Service
from guidance.models.gaussians import Gaussians
from jobs.request import GenerationRequest, resolve

SHARE = Goal(0.1, at_most=True)
MILLISECONDS = Goal(15.0, at_most=True)
PAIRS, TRIVIAL_PAIRS = 30, 200
Requests = list[GenerationRequest]


def run(bench: Bench) -> Section:
    analytic = Gaussians.pictures()
    trivial = [_trivial(analytic, seed) for seed in range(bench.few(TRIVIAL_PAIRS, 2) + 1)]
    requests = [request for _ in range(bench.few(PAIRS, 2) + 1) for request in bench.drawn(TWENTY)]
    with served(bench) as service, closing(Ours(analytic, bench.settings.max_batch_rows)) as analytic_engine:
        ours = _pairs(bench, "service", bench.ours, service, requests)
        theirs = _pairs(bench, "service, trivial network", analytic_engine, service, trivial)
        hearing, canceled = heard(bench, service)
    share = [ratio - 1 for ratio in ratios(ours["http"], ours["in-process"])]
    figures = [
        Figure("HTTP end to end minus in-process, over in-process, 20 steps", share, goal=SHARE, id="R4"),
        Figure("HTTP end to end minus in-process, 20 steps", _added(ours), "ms", less=True),
        Figure("the same of a network that takes no time", _added(theirs), "ms", MILLISECONDS, id="R4"),
        hearing,
    ]
    rows = [
        (name, 1000 * median(seconds["in-process"]), 1000 * median(seconds["http"]))
        for name, seconds in ((bench.id, ours), (analytic.info.id, theirs))
    ]
    return Section(figures, [Table("Milliseconds, medians", ("model", "in-process", "HTTP"), rows), canceled])


def _pairs(bench: Bench, label: str, ours: Ours, service: Service, requests: Requests) -> dict[str, list[float]]:
    """Seconds of the requests in turn; the first warms up."""
    bodies = [request.model_dump(mode="json") for request in requests]
    ways = {"in-process": lambda k: ours.run([requests[k]]), "http": lambda k: generate(service, bodies[k])}
    return bench.times(label, ways, len(requests) - 1)


def _added(seconds: dict[str, list[float]]) -> list[float]:
    """Milliseconds, of each pair."""
    return [1000 * (far - near) for far, near in zip(seconds["http"], seconds["in-process"], strict=True)]


def _trivial(model: Gaussians, seed: int) -> GenerationRequest:
    body = {"model": model.info.id, "label": 1, "seed": seed, "sampler": {"type": "ddim", "steps": 20}}
    return resolve(GenerationRequest.model_validate(body), model.info)
