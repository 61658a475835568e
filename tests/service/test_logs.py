"""What a gateway without tracing logs, and what a generation keeps of the request that made it."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import ValidationError
from starlette.testclient import TestClient

from jobs.api_keys import ApiKeyStore
from jobs.logs import configure
from jobs.presence import Presence
from jobs.record import Record
from jobs.settings import Settings
from jobs.store import JobStore
from tests.jobs.requests import TEXT
from tests.service.test_access import bearer
from tests.service.test_generations import ASKED

SECRET = "hunter2-never-to-be-seen"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = {"X-Request-Id": "mine", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "tracestate": "a=1"}


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_without_tracing_the_trace_of_the_client_is_kept_and_logged(
    client: TestClient, store: JobStore, log_stream: io.StringIO
) -> None:
    configure(Settings(log_format="json"), log_stream)
    id = client.post("/v1/generations", json=ASKED, headers=HEADERS).json()["id"]
    record = store.get(id)
    assert record is not None
    assert record.correlation.origin == {"request_id": "mine"} | {name: HEADERS[name] for name in list(HEADERS)[1:]}
    [line] = lines(log_stream)
    assert (line["request_id"], line["generation_id"], line["trace_id"]) == ("mine", id, TRACE)


def test_a_worker_gets_the_origin_with_the_generation(client: TestClient, store: JobStore) -> None:
    id = client.post("/v1/generations", json=ASKED, headers=HEADERS).json()["id"]
    attempt = store.start(id, "worker")
    assert attempt is not None
    assert attempt.record.correlation.labels == {"request_id": "mine", "generation_id": id, "trace_id": TRACE}


def test_the_tenant_is_in_the_line_of_its_request_and_in_those_of_its_generation(
    app: FastAPI, store: JobStore, api_keys: ApiKeyStore, log_stream: io.StringIO
) -> None:
    _, token = api_keys.create(tenant="acme")
    configure(Settings(log_format="json"), log_stream)
    Presence(store.redis, "worker", ttl=600).renew([TEXT])
    job = TestClient(app, headers=bearer(token)).post("/v1/generations", json=ASKED).json()
    record = store.get(job["id"])
    assert record is not None
    assert lines(log_stream)[-1]["tenant"] == record.correlation.labels["tenant"] == "acme"


def test_what_breaks_is_logged_under_the_request_id_of_its_problem(
    app: FastAPI, log_stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(app.state.gateway.store, "page", broken)
    configure(Settings(log_format="json"), log_stream)
    problem = TestClient(app, raise_server_exceptions=False).get("/v1/generations")
    failed, request = lines(log_stream)
    assert problem.status_code == request["status"] == 500
    assert "RuntimeError: broken" in failed["exc_info"]
    assert failed["request_id"] == request["request_id"] == problem.json()["request_id"]


@pytest.mark.parametrize("format", ["text", "json"])
def test_prompts_pictures_and_keys_are_not_logged(client: TestClient, log_stream: io.StringIO, format: str) -> None:
    configure(Settings.model_validate({"log_format": format, "log_level": "debug"}), log_stream)
    asked = ASKED | {"prompt": SECRET, "negative_prompt": SECRET, "metadata": {"note": SECRET}}
    headers = {"Authorization": f"Bearer {SECRET}", "Idempotency-Key": SECRET, "Cookie": SECRET}
    picture = {"source": {"image": f"data:image/png;base64,{SECRET}"}}
    statuses = [
        client.post(f"/v1/generations?key={SECRET}", json=body, headers=headers).status_code
        for body in (asked, asked, asked | {"seed": 8}, asked | picture, {"unknown": SECRET}, SECRET)
    ]
    assert statuses == [202, 202, 422, 422, 422, 422]
    client.get(f"/v1/{SECRET}")
    assert log_stream.getvalue().count("/v1/generations") == len(statuses)
    assert SECRET not in log_stream.getvalue()


def test_a_record_that_cannot_be_read_does_not_tell_its_prompt() -> None:
    request = json.dumps({"prompt": SECRET, "unknown": SECRET})
    with pytest.raises(ValidationError) as error:
        Record.from_hash({b"id": b"x", b"status": b"queued", b"created_at": b"0", b"request": request.encode()})
    assert SECRET not in str(error.value)
