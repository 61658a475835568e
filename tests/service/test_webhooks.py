"""Webhooks from the request to the receiver, who verifies them with the standard's own package."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from starlette.testclient import TestClient

from jobs import keys
from jobs.settings import Settings
from jobs.store import JobStore
from service.deliverer import Deliverer
from service.openapi import document
from service.schemas import WebhookPayload
from tests.jobs.test_webhook import URLS
from tests.service.deliveries import attempt, ended
from tests.service.receiver import Receiver
from tests.service.stand_in import StandIn
from tests.service.test_generations import ASKED, post
from tests.service.test_problems import problem

pytestmark = pytest.mark.redis

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "webhooks.md"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhook_allow": "127.0.0.1", "housekeeping_seconds": 0.02})


def test_a_generation_that_ends_is_told_to_its_receiver(
    client: TestClient, worker: StandIn, receiver: Receiver, secret: str
) -> None:
    job = post(client, webhook={"url": receiver.url})
    assert job["request"]["webhook"] == {"url": receiver.url, "events": ["done"]}
    assert (job["webhook"]["state"], job["webhook"]["attempts"]) == ("pending", 0)
    worker.run(job["id"])
    message = receiver.got()
    said = message.verified(secret)
    after = client.get(job["links"]["self"]).json()
    assert message.headers["content-type"] == "application/json"
    assert said["type"] == "generation.succeeded"
    assert said["timestamp"] == after["finished_at"]
    assert said["data"] == after | {"webhook": None}
    WebhookPayload.model_validate(said)


def after_attempts(client: TestClient, id: str, attempts: int) -> Any:
    """The generation, once its webhook was tried so many times."""
    deadline = time.monotonic() + 30
    while (now := client.get(f"/v1/generations/{id}")).json()["webhook"]["attempts"] < attempts:
        assert time.monotonic() < deadline
    return now


def test_the_job_says_what_became_of_its_webhook(
    client: TestClient, worker: StandIn, store: JobStore, receiver: Receiver
) -> None:
    receiver.answer(503)
    job = post(client, webhook={"url": receiver.url})
    before = client.get(job["links"]["self"])
    worker.run(job["id"])
    tried = after_attempts(client, job["id"], 1)
    trace = tried.json()["webhook"]
    assert (trace["state"], trace["last_status"], trace["last_error"]) == ("pending", 503, "http_status")
    assert trace["next_attempt_at"] > trace["last_attempt_at"]
    store.redis.zadd(keys.DELIVERIES, {job["id"]: 0})
    later = after_attempts(client, job["id"], 2)
    trace = later.json()["webhook"]
    assert (trace["state"], trace["attempts"], trace["last_status"], trace["last_error"]) == ("delivered", 2, 204, None)
    assert trace["next_attempt_at"] is None
    assert len({response.headers["ETag"] for response in (before, tried, later)}) == 3


@pytest.mark.parametrize("how", ["canceled", "failed", "expired"])
def test_however_it_ends(client: TestClient, worker: StandIn, receiver: Receiver, secret: str, how: str) -> None:
    headers = {"Cancel-After": "0.01s"} if how == "expired" else {}
    body = ASKED | {"webhook": {"url": receiver.url}}
    job = client.post("/v1/generations", json=body, headers=headers).json()
    if how == "canceled":
        client.post(job["links"]["cancel"])
    if how == "failed":
        worker.fail(job["id"], worker.start(job["id"]))
    said = receiver.got().verified(secret)
    assert (said["type"], said["data"]["status"]) == (f"generation.{how}", how)


def test_the_document_describes_what_is_sent(app: FastAPI) -> None:
    [operation] = document(app)["webhooks"]["generationDone"].values()
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/WebhookPayload")
    assert operation["x-internal"]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://receiver.example/", "insecure_url"),
        ("https://10.0.0.1/", "private_address"),
        ("https://localhost:6379/", "private_address"),
        ("https://169.254.169.254/latest/meta-data", "private_address"),
        ("https://[::1]/", "private_address"),
        ("https://anna:secret@a.example/", "invalid_url"),
        ("a.example", "invalid_url"),
        ("https://a.example/" + "x" * 2048, "string_too_long"),
        (7, "string_type"),
    ],
)
def test_a_url_that_is_not_posted_to_is_refused(client: TestClient, url: Any, code: str) -> None:
    response = client.post("/v1/generations", json=ASKED | {"webhook": {"url": url}})
    kind = "unsupported" if code in ("insecure_url", "private_address") else "invalid_request"
    [error] = problem(response, 422, kind)["errors"]
    assert (error["pointer"], error["code"]) == ("/webhook/url", code)
    assert error["detail"].startswith("url = ")


@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(url=URLS)
def test_no_url_breaks_the_service(client: TestClient, url: str) -> None:
    body = json.dumps(ASKED | {"webhook": {"url": url}})  # lone surrogates, too
    response = client.post("/v1/generations", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in (202, 422), response.text
    if response.status_code == 202:  # nothing is to be sent to what may be somebody's
        client.app.state.gateway.redis.delete(keys.generation(response.json()["id"]))  # type: ignore[attr-defined]


def test_the_receiver_in_the_documentation_works(
    deliverer: Deliverer, store: JobStore, receiver: Receiver, secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    [code] = re.findall(r"^```python\n(.*?)^```", DOCUMENTATION.read_text(), flags=re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(code.replace("whsec_...", secret), names)
    id = ended(store, receiver.url)
    attempt(deliverer, id)
    message = receiver.got()
    with TestClient(names["app"]) as client:
        assert client.post("/hook", content=message.body, headers=message.headers).status_code == 204
        assert client.post("/hook", content=b"{}", headers=message.headers | {"content-length": "2"}).status_code == 401
    assert capsys.readouterr().out == f"generation.canceled {id}\n"
