"""`python -m benchmarks.footprint`: what a generation holds of Redis' memory while it waits, runs, and once it ended."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

import redis

from guidance.models.gaussians import Gaussians
from jobs.connection import connect
from jobs.embedded import EmbeddedRedis
from jobs.record import Status, StoredImage, Usage
from jobs.request import GenerationRequest, resolve
from jobs.settings import Settings
from jobs.store import JobStore

STEPS = 30
BODY = {"model": "gaussians", "label": 1, "n": 1, "sampler": {"type": "ddim", "steps": STEPS}}


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.footprint", description=__doc__.splitlines()[0])
    arguments.add_argument("--generations", type=int, default=1000)
    count = arguments.parse_args().generations
    with tempfile.TemporaryDirectory(prefix="guidepost-") as folder, EmbeddedRedis(Path(folder)) as server:
        settings = Settings(redis_url=server.url, step_event_seconds=0)
        with connect(settings) as connection:
            measure(connection, settings, count)
            file = sum(path.stat().st_size for path in server.folder.glob("*.aof"))
    print(f"| append-only file, as first written | {file / count / 1024:.1f} KiB |")
    return 0


def measure(connection: redis.Redis, settings: Settings, count: int) -> None:
    store, empty = JobStore(connection, settings), used(connection)
    request = resolve(GenerationRequest.model_validate(BODY), Gaussians.pictures().info)
    print("| a generation of one image and 30 steps | Redis holds |\n| --- | --- |")
    for _ in range(count):
        store.create(request, 2 * STEPS)
    print(f"| that waits | {(used(connection) - empty) / count / 1024:.1f} KiB |")
    for _ in range(count):
        end(store)
    print(f"| that ended, with an event for each step | {(used(connection) - empty) / count / 1024:.1f} KiB |")


def end(store: JobStore) -> None:
    """Run the first in line, as a worker tells of it."""
    attempt: Any = store.claim("worker", ["gaussians"])
    id, token = attempt.record.id, attempt.token
    for step in range(1, STEPS + 1):
        store.progress(id, token, step=step, steps=STEPS, nfe_done=2 * step, nfe_total=2 * STEPS)
    image = StoredImage.model_construct(index=0, seed=1)
    store.finish(id, token, Status.SUCCEEDED, images=[image], usage=Usage.model_construct(nfe=2 * STEPS))


def used(connection: redis.Redis) -> int:
    return int(cast(dict[str, Any], connection.info("memory"))["used_memory"])


if __name__ == "__main__":
    sys.exit(main())
