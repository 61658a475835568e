"""One gateway and one worker as processes, asked for a few things with secrets in them, then ended: what they left."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from jobs.embedded import EmbeddedRedis
from tests.observability.collector import Span, collecting

SECRET = "hunter2-never-to-be-seen"
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ASKED = {"model": "gaussians", "label": 1, "n": 2, "seed": 3, "sampler": {"type": "ddim", "steps": 5}}
HEADERS = {
    "Authorization": f"Bearer {SECRET}",
    "Cookie": f"session={SECRET}",
    "Idempotency-Key": SECRET,
    "Prefer": "wait=60",
    "X-Request-Id": "request-1",
    "traceparent": f"00-{TRACE}-{CALLER}-01",
    "tracestate": "vendor=1",
}
LOGS = {"GUIDEPOST_LOG_FORMAT": "json", "GUIDEPOST_LOG_LEVEL": "debug"}


@dataclass
class Left:
    """What the two processes left behind."""

    id: str
    answered: httpx.Response
    refused: httpx.Response
    spans: list[Span]
    logs: dict[str, str]
    metrics: dict[str, str]
    lines: dict[str, list[dict[str, Any]]] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = {name: [json.loads(line) for line in log.splitlines()] for name, log in self.logs.items()}

    def span(self, name: str) -> Span:
        [span] = [span for span in self.spans if span.name == name]
        return span

    def said(self, process: str, message: str) -> list[dict[str, Any]]:
        return [line for line in self.lines[process] if line["message"] == message]


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    folder = tmp_path_factory.mktemp("observed")
    with EmbeddedRedis(folder) as redis, collecting() as collector:
        env = {
            "GUIDEPOST_REDIS_URL": redis.url,
            "GUIDEPOST_DATA_DIR": str(folder),
            "GUIDEPOST_MODELS": "gaussians",
            "GUIDEPOST_OTLP_ENDPOINT": collector.url,
            "GUIDEPOST_METRICS_PORT": "0",
            **LOGS,
        }
        with process("worker", env, folder) as ready:
            assert "ready" in ready
            [scraped] = re.findall(r"metrics are at (http://[^\s\"]+)", (folder / "worker.log").read_text())
            with process("serve", env, folder, "--port", "0") as listens:
                answers = ask(listens.split()[-1], scraped)
        logs = {"gateway": (folder / "serve.log").read_text(), "worker": (folder / "worker.log").read_text()}
    return Left(*answers[:3], collector.spans, logs, answers[3])


@contextmanager
def process(command: str, env: dict[str, str], folder: Path, *arguments: str) -> Iterator[str]:
    """A process of ours; its first line on stdout. Its log is in the folder when it has ended."""
    with (
        (folder / f"{command}.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "cli", command, *arguments],
            env=os.environ | env,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as running,
    ):
        assert running.stdout is not None
        try:
            yield running.stdout.readline()
        finally:
            running.terminate()
            running.wait(60)


def ask(url: str, scraped: str) -> tuple[str, httpx.Response, httpx.Response, dict[str, str]]:
    with httpx.Client(base_url=url, timeout=90, params={"key": SECRET}) as client:
        answered = client.post("/v1/generations", json=ASKED | {"metadata": {"note": SECRET}}, headers=HEADERS)
        assert answered.status_code == 200, answered.text
        prompted = {"prompt": SECRET, "negative_prompt": SECRET, "model": "gaussians"}
        refused = client.post("/v1/generations", json=prompted, headers={"Authorization": f"Bearer {SECRET}"})
        client.get("/v1/nothing")
        id = answered.json()["id"]
        for path in (f"/v1/generations/{id}", f"/v1/generations/{id}/images/0", f"/v1/generations/{id}/events"):
            assert client.get(path).status_code == 200
        metrics = {"gateway": client.get("/metrics").text, "worker": httpx.get(scraped).text}
    return id, answered, refused, metrics
