"""A stream that is cut again and again and taken up where it broke."""

from __future__ import annotations

import json
import threading
from random import Random
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from jobs.presence import Presence
from jobs.store import JobStore
from tests.jobs.requests import TEXT
from tests.service.server import serving
from tests.service.stand_in import StandIn
from tests.service.test_generations import ASKED

CUTS, STEPS = 200, 250


class Writer(threading.Thread):
    """A worker that makes a few steps whenever it is let."""

    def __init__(self, worker: StandIn, id: str) -> None:
        super().__init__()
        self.worker, self.id = worker, id
        self.steps = threading.Semaphore(0)

    def run(self) -> None:
        attempt = self.worker.start(self.id)
        for step in range(1, STEPS + 1):
            assert self.steps.acquire(timeout=60)
            self.worker.step(self.id, attempt, step)
        self.worker.succeed(self.id, attempt)


def read(client: httpx.Client, path: str, last: int, length: int) -> list[dict[str, Any]]:
    """The whole events among the first `length` bytes of what follows event number `last`."""
    text = b""
    with client.stream("GET", path, headers={"Last-Event-ID": str(last)} if last else {}) as response:
        for chunk in response.iter_raw():
            text += chunk
            if len(text) >= length or (b"event: done" in text and text.endswith(b"\n\n")):
                break
    found = []
    for block in text[: max(length, 0)].decode(errors="ignore").split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in fields:
            found.append({"id": int(fields["id"])} | json.loads(fields["data"]))
    return found


@pytest.mark.slow
def test_two_hundred_cuts_lose_and_repeat_nothing(app: FastAPI, store: JobStore, worker: StandIn) -> None:
    random = Random(0)
    Presence(store.redis, "worker", ttl=600).renew([TEXT])
    with serving(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        body = ASKED | {"sampler": {"type": "ddim", "steps": STEPS}}
        job = client.post("/v1/generations", json=body).json()
        writer = Writer(worker, job["id"])
        writer.start()
        told: list[dict[str, Any]] = []
        for _ in range(CUTS):
            writer.steps.release()
            told += read(client, job["links"]["events"], told[-1]["id"] if told else 0, random.randint(1, 300))
        writer.steps.release(STEPS)
        writer.join(60)
        while told[-1]["type"] != "done":
            told += read(client, job["links"]["events"], told[-1]["id"], 10**6)
    assert [event["id"] for event in told] == list(range(1, STEPS + 4))
    assert [event["type"] for event in told] == ["status", "status", *["step"] * STEPS, "done"]
    assert [event["step"] for event in told if event["type"] == "step"] == list(range(1, STEPS + 1))
