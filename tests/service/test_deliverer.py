"""One delivery after the other: attempts, signatures, messages."""

from __future__ import annotations

import json
import threading
from ipaddress import ip_address

import pytest
from standardwebhooks import WebhookVerificationError

from jobs import keys
from jobs.settings import Settings
from jobs.signing import SigningSecrets
from jobs.store import JobStore
from service.deliverer import THREADS_PER_RECEIVER, Deliverer
from service.gateway import LiveWorkers
from service.metrics import Metrics
from service.webhook import LONGEST_TEXT, payload
from tests.jobs.requests import a_request
from tests.service.deliveries import attempt, delivery, ended
from tests.service.receiver import Message, Receiver, receiving
from tests.service.stand_in import StandIn

pytestmark = pytest.mark.redis


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
    exposition = Metrics(store, LiveWorkers(store.redis)).exposition().decode()
    assert 'guidepost_webhook_attempts_total{outcome="retried"} 3.0' in exposition


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
    deliverer: Deliverer, store: JobStore, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = ended(store, receiver.url)
    with monkeypatch.context() as patch:
        patch.setattr(deliverer, "_settle", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            deliverer.deliver()
    other = Deliverer(deliverer.settings)
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
