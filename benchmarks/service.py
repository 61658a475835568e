"""Milliseconds that the service adds to one request: HTTP, Redis, queue, PNG and storage, over the engine in-process.

The real thing: `guidepost up` with one worker process, posts with `Prefer: wait`, then the image's bytes fetched. The
same request runs in this process in turn; there it ends when its pixels are in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median

import httpx

from benchmarks.bench import Bench
from benchmarks.figure import Figure, Goal, Section, Table, ratios
from benchmarks.workloads import ALONE
from cli.showcase import started_service
from jobs.request import GenerationRequest

GOAL = Goal(30.0, at_most=True)
WAIT = {"Prefer": "wait=60"}


def run(bench: Bench) -> Section:
    batches = bench.batches(ALONE)
    with _service(bench) as http:
        seconds = bench.times(
            "service",
            {
                "in-process": lambda k: bench.ours.run(batches[k]),
                "http": lambda k: _generate(http, batches[k][0]),
            },
        )
    added = [1000 * (far - near) for far, near in zip(seconds["http"], seconds["in-process"], strict=True)]
    figures = [
        Figure("HTTP end to end minus in-process, one request", added, "ms", GOAL),
        Figure("HTTP end to end / in-process, one request", ratios(seconds["http"], seconds["in-process"])),
    ]
    table = Table("Milliseconds", tuple(seconds), [tuple(1000 * median(spent) for spent in seconds.values())])
    return Section(figures, [table])


@contextmanager
def _service(bench: Bench) -> Iterator[httpx.Client]:
    """A service of one worker with our model and settings; ended on the way out."""
    settings = bench.settings.model_dump(include={"device", "dtype", "threads", "max_batch_rows"}, exclude_none=True)
    with (
        _environment({f"GUIDEPOST_{name.upper()}": str(value) for name, value in settings.items()}),
        started_service(f"{bench.id}={bench.path}", bench.folder / "service.log") as url,
        httpx.Client(base_url=url, timeout=120, trust_env=False) as http,
    ):
        yield http


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables that processes started meanwhile inherit."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _generate(http: httpx.Client, request: GenerationRequest) -> bytes:
    """Post, wait, fetch."""
    response = http.post("/v1/generations", json=request.model_dump(mode="json"), headers=WAIT).raise_for_status()
    job = response.json()
    if job["status"] != "succeeded":
        raise RuntimeError(f"the service answered {response.status_code}: {job}")
    return http.get(job["images"][0]["url"], headers={"Accept": "image/png"}).raise_for_status().content
