"""`python -m benchmarks.footprint`: the memory of each process, and what a generation leaves in Redis and on disk."""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from cli.client import Service
from cli.showcase import READY
from guidance.models.gaussians import Gaussians
from jobs.connection import connect
from jobs.embedded import running
from jobs.request import GenerationRequest, resolve
from jobs.settings import Settings
from jobs.store import JobStore

BODY = {"prompt": "a large red circle", "sampler": {"type": "ddim", "steps": 20}}
WAITING = 1000
WAIT_SECONDS = 30
IDLE_SECONDS = 10.0


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.footprint", description=__doc__.splitlines()[0])
    arguments.add_argument(
        "--generations", type=int, default=24, help="of one 64 by 64 image and 20 steps (default: 24)"
    )
    count = arguments.parse_args().generations
    with tempfile.TemporaryDirectory(prefix="guidepost-") as folder, _service(Path(folder)) as (gateway, worker):
        settings = Settings(redis_url=running(Path(folder)))
        with connect(settings) as connection:
            _print("gateway, idle", _resident(gateway))
            _print("worker with `shapes`, idle", _resident(worker))
            _print("Redis, idle", _info(connection)["used_memory_rss"])
            print(f"| commands to Redis, idle | {_commands(connection):.0f} a second |")
            _generate(gateway, 1)  # what is there once: scripts, totals, the names of workers
            before = _info(connection)["used_memory"]
            _generate(gateway, count)
            _print("of Redis for each generation that ended", (_info(connection)["used_memory"] - before) / count)
            files = [path.stat().st_size for path in (Path(folder) / "artifacts").rglob("*") if path.is_file()]
            _print("on disk for each", sum(files) / (count + 1))
            _print("gateway, after them", _resident(gateway))
            _print("worker, after them", _resident(worker))
            _print("of Redis for each generation that waits", _waiting(connection, settings))
    return 0


@contextmanager
def _service(data: Path) -> Iterator[tuple[Service, Service]]:
    """`guidepost up` with one worker; its gateway, and the metrics of its worker."""
    env = os.environ | {"GUIDEPOST_MODELS": "shapes", "GUIDEPOST_REDIS_URL": "", "GUIDEPOST_METRICS_PORT": "0"}
    argv = [sys.executable, "-m", "cli", "up", "--port", "0", "--data-dir", str(data)]
    log = data / "log"
    with log.open("w") as lines:
        process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=lines, text=True)
    assert process.stdout is not None
    try:
        ready = next(found for line in process.stdout if (found := READY.search(line)))
        yield Service(ready[1]), Service(re.findall(r"metrics are at (\S+)/metrics", log.read_text())[0])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()


def _generate(gateway: Service, count: int) -> None:
    for job in [gateway.submit(BODY | {"seed": seed}) for seed in range(count)]:
        while job["status"] not in ("succeeded", "failed"):
            job = gateway.awaited(job, WAIT_SECONDS)


def _waiting(connection: redis.Redis, settings: Settings) -> float:
    """Of generations for a model that nobody serves here."""
    store, before = JobStore(connection, settings), _info(connection)["used_memory"]
    request = resolve(GenerationRequest.model_validate({"model": "gaussians", "label": 1}), Gaussians.pictures().info)
    for _ in range(WAITING):
        store.create(request, 40)
    return float(_info(connection)["used_memory"] - before) / WAITING


def _commands(connection: redis.Redis) -> float:
    """A second, of everybody."""
    total = "total_commands_processed"
    before = connection.info("stats")[total]
    time.sleep(IDLE_SECONDS)
    return float(connection.info("stats")[total] - before) / IDLE_SECONDS


def _info(connection: redis.Redis) -> dict[str, Any]:
    found: dict[str, Any] = connection.info("memory")
    return found


def _resident(service: Service) -> float:
    """Bytes of memory that the process behind these metrics holds."""
    return float(
        re.findall(r"^process_resident_memory_bytes (\S+)", service.http.get("/metrics").text, re.MULTILINE)[0]
    )


def _print(what: str, size: float) -> None:
    print(
        f"| {what} | {size / 2**20:.0f} MiB |" if size > 2**20 else f"| {what} | {size / 2**10:.1f} KiB |", flush=True
    )


if __name__ == "__main__":
    sys.exit(main())
