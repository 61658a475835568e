"""Webhooks from the request to the receiver, who verifies them with the standard's own package."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from standardwebhooks import WebhookVerificationError
from starlette.testclient import TestClient

from jobs import keys
from jobs.settings import Settings
from jobs.signing import SigningSecrets
from jobs.store import JobStore
from jobs.webhook import Delivery
from service.deliverer import THREADS_PER_RECEIVER, Deliverer
from service.openapi import document
from service.schemas import WebhookPayload
from service.webhook import LONGEST_TEXT, payload
from tests.jobs.requests import a_request
from tests.jobs.test_webhook import URLS
from tests.service.receiver import Message, Receiver, receiving
from tests.service.stand_in import StandIn
from tests.service.test_generations import ASKED, post
from tests.service.test_problems import problem

pytestmark = pytest.mark.redis

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "webhooks.md"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhook_allow": "127.0.0.1", "housekeeping_seconds": 0.02})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def deliverer(store: JobStore, settings: Settings) -> Deliverer:
    """One whose threads are not started: tests call `deliver`."""
    return Deliverer(settings)


@pytest.fixture
def secret(store: JobStore) -> str:
    return SigningSecrets(store.redis).current()


def ended(store: JobStore, url: str, **fields: Any) -> str:
    id = store.create(a_request(webhook={"url": url}, **fields)).id
    store.cancel(id)
    return id


def attempt(deliverer: Deliverer, id: str) -> Delivery:
    """What became of it when it was tried, which its time has come for."""
    assert deliverer.redis.zadd(keys.DELIVERIES, {id: 0}, xx=True, ch=True)
    assert deliverer.deliver()
    return delivery(deliverer, id)


def delivery(deliverer: Deliverer, id: str) -> Delivery:
    record = deliverer.store.get(id)
    assert record is not None and record.delivery is not None
    return record.delivery


# From the request to the receiver


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


def test_the_job_says_what_became_of_its_webhook(
    client: TestClient, worker: StandIn, store: JobStore, deliverer: Deliverer, receiver: Receiver
) -> None:
    receiver.answer(503)
    job = post(client, webhook={"url": receiver.url})
    before = client.get(job["links"]["self"]).headers["ETag"]
    worker.run(job["id"])
    receiver.got()
    while (now := client.get(job["links"]["self"])).json()["webhook"]["attempts"] == 0:
        pass
    trace = now.json()["webhook"]
    assert (trace["state"], trace["last_status"], trace["last_error"]) == ("pending", 503, "http_status")
    assert trace["next_attempt_at"] > trace["last_attempt_at"]
    assert attempt(deliverer, job["id"]).state == "delivered"
    later = client.get(job["links"]["self"])
    trace = later.json()["webhook"]
    assert (trace["state"], trace["attempts"], trace["last_status"], trace["last_error"]) == ("delivered", 2, 204, None)
    assert trace["next_attempt_at"] is None
    assert len({before, now.headers["ETag"], later.headers["ETag"]}) == 3


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


def test_a_tenant_has_a_secret_of_its_own(
    deliverer: Deliverer, store: JobStore, receiver: Receiver, secret: str
) -> None:
    id = ended(store, receiver.url)
    store.redis.hset(keys.generation(id), "tenant", "anna")
    attempt(deliverer, id)
    message = receiver.got()
    message.verified(SigningSecrets(store.redis).current("anna"))
    with pytest.raises(WebhookVerificationError):
        message.verified(secret)


# Attempts


def test_every_attempt_has_the_same_id_and_body(
    deliverer: Deliverer, store: JobStore, receiver: Receiver, secret: str
) -> None:
    receiver.answer(500, 302, 429)
    id = ended(store, receiver.url)
    states = [attempt(deliverer, id).state for _ in range(4)]
    assert states == ["pending", "pending", "pending", "delivered"]
    messages = [receiver.got() for _ in states]
    assert len({(message.headers["webhook-id"], message.body) for message in messages}) == 1
    assert all(message.verified(secret)["data"]["id"] == id for message in messages)
    assert not deliverer.deliver()
    counters = store.counters()
    assert (counters["webhook:retried"], counters["webhook:delivered"]) == (3, 1)


def test_the_schedule_is_followed_to_its_end_and_the_log_says_so(
    deliverer: Deliverer, store: JobStore, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    deliverer.deliveries.schedule = (10, 100)
    receiver.answer(500, 500, 500)
    id = ended(store, receiver.url)
    waits = []
    for _ in range(3):
        now = attempt(deliverer, id)
        if now.next_attempt_at and now.last_attempt_at:
            waits.append((now.next_attempt_at - now.last_attempt_at).total_seconds())
    assert (now.state, now.attempts) == ("failed", 3)
    assert [8 <= waits[0] <= 12, 80 <= waits[1] <= 120] == [True, True]
    assert f"the webhook of generation {id} to" in caplog.text and "given up after 3 attempts" in caplog.text
    assert "key=1" not in caplog.text  # a URL may hold a secret
    assert not deliverer.deliver()


def test_a_receiver_that_is_gone_is_asked_once(deliverer: Deliverer, store: JobStore, receiver: Receiver) -> None:
    receiver.answer(410)
    now = attempt(deliverer, ended(store, receiver.url))
    assert (now.state, now.attempts, now.last_status, now.last_error) == ("failed", 1, 410, "gone")


def test_a_gateway_that_dies_on_the_way_loses_nothing(
    deliverer: Deliverer, store: JobStore, settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = ended(store, receiver.url)
    with monkeypatch.context() as patch:
        patch.setattr(deliverer, "_settle", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            deliverer.deliver()
    other = Deliverer(settings)
    assert not other.deliver()  # the claim holds
    assert attempt(other, id).state == "delivered"
    assert receiver.got().headers["webhook-id"] == receiver.got().headers["webhook-id"]


def test_a_mistake_of_ours_is_tried_again(
    deliverer: Deliverer, store: JobStore, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.deliverer.payload", lambda *_: 1 / 0)
    now = attempt(deliverer, ended(store, receiver.url))
    assert (now.state, now.last_error) == ("pending", "internal")


def test_a_record_that_is_gone_ends_its_delivery(deliverer: Deliverer, store: JobStore, receiver: Receiver) -> None:
    store.redis.delete(keys.generation(ended(store, receiver.url)))
    assert deliverer.deliver()
    assert not deliverer.deliver()
    assert store.counters()["webhook:failed"] == 1


def test_a_slow_receiver_leaves_the_other_threads_to_others(
    deliverer: Deliverer, store: JobStore, receiver: Receiver
) -> None:
    with receiving() as slow:
        slow.held = threading.Event()
        ids = [ended(store, slow.url) for _ in range(THREADS_PER_RECEIVER + 3)]
        store.redis.zadd(keys.DELIVERIES, dict.fromkeys(ids, 0))  # all before the one of the other
        other = ended(store, receiver.url)
        deliverer.start()
        receiver.got()
        for _ in range(THREADS_PER_RECEIVER):
            slow.got()
        assert slow.messages.empty()
        slow.held.set()
        deliverer.stop()
    assert delivery(deliverer, other).state == "delivered"
    assert [delivery(deliverer, id).state for id in ids].count("pending") == 3


# Signatures


def test_nothing_of_a_message_can_be_changed(
    deliverer: Deliverer, store: JobStore, receiver: Receiver, secret: str
) -> None:
    attempt(deliverer, ended(store, receiver.url))
    message = receiver.got()
    message.verified(secret)
    changed = [Message(message.path, message.headers, message.body.replace(b"canceled", b"succeeded"))]
    for name, value in (
        ("webhook-id", "another"),
        ("webhook-timestamp", str(int(message.headers["webhook-timestamp"]) - 1)),
    ):
        changed.append(Message(message.path, message.headers | {name: value}, message.body))
    for forged in changed:
        with pytest.raises(WebhookVerificationError):
            forged.verified(secret)


def test_an_old_and_a_new_secret_both_verify_while_they_are_rotated(
    deliverer: Deliverer, store: JobStore, receiver: Receiver, secret: str
) -> None:
    new = deliverer.secrets.rotate()
    attempt(deliverer, ended(store, receiver.url))
    message = receiver.got()
    assert message.verified(secret) == message.verified(new)
    store.redis.zadd(keys.signing(""), {secret: 1})  # the day has passed
    attempt(deliverer, ended(store, receiver.url))
    message = receiver.got()
    message.verified(new)
    with pytest.raises(WebhookVerificationError):
        message.verified(secret)


# Messages


def test_urls_are_whole_where_the_service_knows_its_own(store: JobStore, worker: StandIn) -> None:
    id = store.create(a_request(webhook={"url": "https://a.example"})).id
    worker.run(id)
    record = store.get(id)
    assert record is not None
    data = json.loads(payload(record, "https://guidepost.example/"))["data"]
    here = f"https://guidepost.example/v1/generations/{id}"
    assert data["links"]["self"] == here
    assert data["images"][0]["url"] == f"{here}/images/0"
    assert data["diagnostics"]["url"] == f"{here}/diagnostics"


def test_pictures_of_the_request_are_left_out(store: JobStore) -> None:
    record = store.get(ended(store, "https://a.example"))
    assert record is not None
    request = record.request.model_copy(update={"metadata": {"picture": "data:image/png;base64," + "A" * 10**6}})
    body = payload(record.model_copy(update={"request": request}))
    assert len(body) < LONGEST_TEXT
    said = json.loads(body)["data"]["request"]["metadata"]["picture"]
    assert said == "data:image/png;base64,AAAAAAAAAA... 1000022 characters, left out of the message"


def test_the_document_describes_what_is_sent(app: FastAPI) -> None:
    [operation] = document(app)["webhooks"]["generationDone"].values()
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/WebhookPayload")
    assert operation["x-internal"]


# Where nothing is sent


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


def test_a_name_that_turns_out_to_be_private_is_given_up_at_once(
    deliverer: Deliverer, store: JobStore, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    deliverer.resolve = lambda host, port: [ip_address("10.0.0.1")]
    now = attempt(deliverer, ended(store, "https://inside.example/"))
    assert (now.state, now.attempts, now.last_error) == ("failed", 1, "refused_address")
    assert "inside.example has the address 10.0.0.1" in caplog.text  # for the operator alone
    assert "10.0.0.1" not in now.model_dump_json()


def test_what_was_allowed_when_it_was_accepted_may_be_no_longer(
    store: JobStore, settings: Settings, receiver: Receiver
) -> None:
    strict = Deliverer(settings.model_copy(update={"webhook_allow": ""}))
    assert attempt(strict, ended(store, receiver.url)).last_error == "refused_address"
    assert receiver.messages.empty()


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
