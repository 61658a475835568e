"""Server-sent events: order, resume, gap, heartbeat, end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from jobs import keys
from jobs.store import JobStore
from service.gateway import Gateway
from service.sse import HEARTBEAT, stream
from tests.service.stand_in import StandIn
from tests.service.test_generations import post


def parsed(text: str) -> list[dict[str, Any]]:
    """Each event as its data, with `id` beside; `event` must repeat its type."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in fields:
            data = json.loads(fields["data"])
            assert data["type"] == fields["event"]
            found.append({"id": int(fields["id"]), **data})
    return found


def events(client: TestClient, id: str, after: int | None = None) -> list[dict[str, Any]]:
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    response = client.get(f"/v1/generations/{id}/events", headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.text.startswith("retry: 2000\n\n")
    return parsed(response.text)


def ended(client: TestClient, worker: StandIn) -> str:
    id: str = post(client)["id"]
    worker.run(id)
    return id


def test_a_stream_tells_everything_in_order(client: TestClient, worker: StandIn) -> None:
    told = events(client, id := ended(client, worker))
    assert [event["id"] for event in told] == list(range(1, 7))
    assert [event["type"] for event in told] == ["status", "status", "step", "step", "step", "done"]
    assert told[2] == {"id": 3, "type": "step", "step": 1, "steps": 3, "nfe_done": 2, "nfe_total": 6}
    assert told[-1]["job"] == client.get(f"/v1/generations/{id}").json()


def test_a_stream_follows_what_happens_while_it_is_open(client: TestClient, worker: StandIn) -> None:
    id = post(client)["id"]
    with worker.at_work():
        told = events(client, id)
    assert [event["type"] for event in told] == ["status", "status", "step", "step", "step", "done"]


def test_a_stream_resumes_after_any_event(client: TestClient, worker: StandIn) -> None:
    whole = events(client, id := ended(client, worker))
    for last in range(6):
        assert events(client, id, after=last) == whole[last:]


def test_a_client_that_has_everything_is_told_to_stay_away(client: TestClient, worker: StandIn) -> None:
    response = client.get(f"/v1/generations/{ended(client, worker)}/events", headers={"Last-Event-ID": "6"})
    assert (response.status_code, response.content) == (204, b"")


def test_what_was_trimmed_is_a_gap(client: TestClient, worker: StandIn, store: JobStore) -> None:
    id = ended(client, worker)
    store.redis.xtrim(keys.events(id), maxlen=1, approximate=False)
    gap, done = events(client, id, after=2)
    assert gap == {"id": 5, "type": "gap", "first": 3, "last": 5}
    assert (done["id"], done["type"]) == (6, "done")


def test_done_is_told_when_the_stream_is_no_longer_kept(client: TestClient, worker: StandIn, store: JobStore) -> None:
    id = ended(client, worker)
    store.redis.delete(keys.events(id))
    gap, done = events(client, id)
    assert (gap["first"], gap["last"]) == (1, 5)
    assert done["job"]["status"] == "succeeded"
    assert [event["type"] for event in events(client, id, after=5)] == ["done"]


def test_an_id_from_before_a_loss_of_data_goes_on_from_what_there_is(client: TestClient, worker: StandIn) -> None:
    [done] = events(client, ended(client, worker), after=1000)
    assert (done["id"], done["type"]) == (6, "done")


def test_a_stream_opened_with_such_an_id_goes_on_too(client: TestClient, worker: StandIn) -> None:
    id = post(client)["id"]
    with worker.at_work():
        assert events(client, id, after=1000)[-1]["type"] == "done"


def test_images_have_urls(client: TestClient, worker: StandIn, store: JobStore) -> None:
    id = post(client)["id"]
    attempt = worker.start(id)
    store.event(id, attempt.token, "image", {"index": 1, "seed": 8})
    worker.succeed(id, attempt)
    [image] = [event for event in events(client, id) if event["type"] == "image"]
    assert image == {"id": 3, "type": "image", "index": 1, "seed": 8, "url": f"/v1/generations/{id}/images/1"}


def test_silence_is_broken_by_heartbeats(app: FastAPI, client: TestClient, worker: StandIn, store: JobStore) -> None:
    record = store.get(post(client)["id"])
    assert record is not None

    async def follow() -> list[str]:
        gateway: Gateway = app.state.gateway
        lines = []
        async for line in stream(gateway, record, 0):
            lines.append(line)
            if lines.count(HEARTBEAT) == 2:
                store.cancel(record.id)
        return lines

    assert client.portal is not None
    lines = client.portal.call(follow)
    assert lines[2:4] == [HEARTBEAT, HEARTBEAT]
    assert [event["type"] for event in parsed("".join(lines))] == ["status", "done"]


def test_a_stream_ends_when_its_generation_is_gone(app: FastAPI, client: TestClient, store: JobStore) -> None:
    record = store.get(post(client)["id"])
    assert record is not None

    async def follow() -> list[str]:
        lines = []
        async for line in stream(app.state.gateway, record, 0):
            lines.append(line)
            store.redis.delete(keys.generation(record.id), keys.events(record.id))
        return lines

    assert client.portal is not None
    assert client.portal.call(follow)[-1] == HEARTBEAT


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 20, "١"])
def test_an_id_that_is_no_number_is_refused(client: TestClient, worker: StandIn, last: str) -> None:
    id = ended(client, worker)
    response = client.get(f"/v1/generations/{id}/events", headers={b"Last-Event-ID": last.encode()})
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert (error["pointer"], error["location"], error["code"]) == ("/Last-Event-ID", "header", "invalid_event_id")
