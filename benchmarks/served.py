"""The service as processes: `guidepost up` with our model, on a free port, ended on the way out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from benchmarks.bench import Bench
from cli.client import Json, Service
from cli.showcase import started_service

WAIT_SECONDS = 60


@contextmanager
def served(bench: Bench, name: str = "service", *, workers: int = 1, **settings: object) -> Iterator[Service]:
    """Our model and the analytic one, and the settings of the benchmark but for `settings`; lines in `name`.log.

    A worker has as many threads as this process, unless it is told otherwise.
    """
    ours = bench.settings.model_dump(include={"device", "dtype", "max_batch_rows"})
    given = ours | {"threads": torch.get_num_threads()} | settings
    models = f"{bench.id}={bench.path},gaussians"
    with (
        _environment({f"GUIDEPOST_{name.upper()}": str(value) for name, value in given.items()}),
        started_service(models, bench.folder / f"{name}.log", workers=workers) as url,
        Service(url, timeout=2 * WAIT_SECONDS) as service,
    ):
        yield service


def generate(service: Service, body: Json) -> bytes:
    """Post, wait, fetch: the bytes of the first image."""
    headers = {"Prefer": f"wait={WAIT_SECONDS}"}
    job = service.http.post("/v1/generations", json=body, headers=headers).raise_for_status().json()
    return service.fetch(succeeded(service, job)["images"][0]["url"], "image/png")


def succeeded(service: Service, job: Json) -> Json:
    """The job once it has ended; raises where it failed."""
    while job["status"] in ("queued", "running"):
        job = service.awaited(job, WAIT_SECONDS)
    if job["status"] != "succeeded":
        raise RuntimeError(f"the service answered {job}")
    return job


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
