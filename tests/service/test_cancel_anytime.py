"""Cancellation at any moment of a generation's life: what ended stays as it ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from jobs.attempt import Attempt
from jobs.connection import connect
from jobs.events import read_events
from jobs.leases import Leases
from jobs.order import Order
from jobs.record import Status
from jobs.settings import Settings
from jobs.store import JobStore
from tests.jobs.requests import a_request
from tests.service.server import serving

MOMENTS = 2000
AT_ONCE = 4


class Worker(threading.Thread):
    """Runs what waits until nothing does; ends what it sees canceled, sometimes late, sometimes never."""

    def __init__(self, settings: Settings, seed: int) -> None:
        super().__init__()
        self.store = JobStore(connect(settings), settings)
        self.leases = Leases(self.store.redis, settings)
        self.random = Random(seed)

    def run(self) -> None:
        while isinstance(attempt := self.store.claim("worker", ["shapes"]), Attempt):
            self.perform(attempt)
        self.store.redis.close()

    def perform(self, attempt: Attempt) -> None:
        id, token, steps = attempt.id, attempt.token, attempt.request.sampler.steps
        for step in range(1, steps + 1):
            self.store.progress(id, token, step=step, steps=steps, nfe_done=step, nfe_total=steps)
            if self.random.random() < 0.5 and self.leases.attend({token: id}, renew=False).stop:
                assert self.store.finish(id, token, Status.CANCELED, reason="user")
                return
        assert self.store.finish(id, token, Status.SUCCEEDED)


def every(client: httpx.Client) -> Iterator[dict[str, Any]]:
    """All generations, page by page."""
    after: dict[str, str] = {}
    while True:
        page = client.get("/v1/generations", params={"limit": "100"} | after).json()
        yield from page["data"]
        if not page["has_more"]:
            return
        after = {"after": page["next_cursor"]}


@pytest.mark.slow
def test_no_terminal_state_ever_changes(app: FastAPI, store: JobStore, settings: Settings) -> None:
    order = Order(a_request(), 4)
    ids = [record.id for _ in range(MOMENTS // 50) for record in store.create_all([order] * 50)]
    moments = Random(0).sample(ids, MOMENTS)
    with serving(app) as url, httpx.Client(base_url=url, timeout=60) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        workers = [Worker(settings, seed) for seed in range(2)]
        for worker in workers:
            worker.start()
        answers = list(pool.map(lambda id: client.post(f"/v1/generations/{id}/cancel"), moments))
        for worker in workers:
            worker.join()
        listed = {job["id"]: job for job in every(client)}
    assert {answer.status_code for answer in answers} == {200}
    ended = [answer.json() for answer in answers]
    again = [listed[id] for id in moments]
    final = {"succeeded", "canceled"}
    assert {job["status"] for job in again} == final  # both happened, or the test would show nothing
    assert {job["status"] for job in ended} & {"queued"} == set()
    for before, after in zip(ended, again, strict=True):
        assert before == after or before["status"] not in final
    for job in again:
        events = read_events(store.redis, str(job["id"]))
        assert [event.type for event in events].count("done") == 1
        assert events[-1].type == "done" and events[-1].data["status"] == job["status"]
