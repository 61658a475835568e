"""What OpenAI's clients are told when there are no images, and what becomes of generations that they leave."""

from __future__ import annotations

import json
import socket
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from fastapi import FastAPI

from jobs.artifacts import ArtifactStore
from jobs.presence import Presence
from jobs.record import Failure, Status
from jobs.settings import Settings
from jobs.store import JobStore
from service.openai.errors import details
from service.problems import Refusal
from tests.service.stand_in import StandIn
from tests.service.test_openai import ASKED, PATH, STEPS, only
from tests.workers.process import events_until

WRONG: list[tuple[dict[str, Any], str | None, str, str]] = [
    ({"size": "60x64"}, "size", "unsupported_size", "width = 60: shapes takes multiples of 8 up to 128"),
    ({"size": "1024x1024"}, "size", "unsupported_size", "width = 1024: shapes takes multiples of 8 up to 128"),
    ({"size": "large"}, "size", "string_pattern_mismatch", "size = 'large'"),
    ({"n": 17}, "n", "less_than_equal", "n = 17: input should be less than or equal to 16"),
    ({"quality": "high"}, "quality", "literal_error", "quality = 'high': input should be 'auto' or 'standard'"),
    ({"background": "transparent"}, "background", "literal_error", "background = 'transparent'"),
    ({"output_format": "gif"}, "output_format", "literal_error", "output_format = 'gif'"),
    ({"output_compression": 50}, "output_compression", "literal_error", "output_compression = 50"),
    ({"style": "vivid"}, "style", "unsupported", "style = 'vivid': there are no styles here"),
    ({"svg": {"model": "m"}}, "svg", "unsupported", "only png, webp and jpeg"),
    ({"stream": True, "n": 2}, "n", "unsupported", "n = 2: with stream = true it is 1"),
    ({"stream": True, "response_format": "url"}, "response_format", "unsupported", "it is b64_json"),
    ({"partial_images": 2}, "partial_images", "unsupported", "partial_images = 2"),
    ({"prompt": None}, "prompt", "missing", "prompt is missing"),
    ({"seed": 2**32 - 1, "n": 2}, None, "seed_too_large", "would pass 4294967295"),
    ({"steps": 5}, "steps", "extra_forbidden", "steps is not a field here"),
    ({"sampler": {"type": "ddim", "steps": 251}}, "sampler.steps", "less_than_equal", "steps = 251"),
    (
        {"guidance": {"correction": [{"type": "rescale", "phi": 2}]}},
        "guidance.correction[0].phi",
        "less_than_equal",
        "phi = 2",
    ),
    ({"model": "gaussians"}, "prompt", "wrong_condition", "gaussians takes a label, not a prompt"),
]


def test_what_is_wrong_is_a_bad_request_that_names_it(openai_client: openai.OpenAI, store: JobStore) -> None:
    for wrong, param, code, message in WRONG:
        with pytest.raises(openai.BadRequestError) as raised:
            openai_client.images.generate(prompt="a red circle", extra_body=wrong)
        error = raised.value
        assert (error.param, error.code, error.type) == (param, code, "invalid_request_error"), wrong
        assert message in error.message
    assert store.page().records == []


def test_a_model_that_is_not_served_is_not_found(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="there is gaussians, shapes") as raised:
        openai_client.images.generate(prompt="a red circle", model="gpt-image-1")
    assert (raised.value.param, raised.value.code) == ("model", "model_not_found")


def test_every_error_is_named_in_the_message(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"width = 60: .*; height = 1000: "):
        openai_client.images.generate(prompt="a red circle", size="60x1000")


def test_raw_errors_have_openais_shape(raw: httpx.Client) -> None:
    response = raw.post(PATH, json={"prompt": "a red circle", "size": "60x64"})
    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/json")
    assert response.json() == {
        "error": {
            "message": "width = 60: shapes takes multiples of 8 up to 128",
            "type": "invalid_request_error",
            "param": "size",
            "code": "unsupported_size",
        }
    }


def test_what_no_route_sees_has_it_too(raw: httpx.Client, settings: Settings) -> None:
    large = b"x" * (settings.max_body_bytes + 1)
    for response, status, code in (
        (raw.post(PATH, content=large), 413, "body_too_large"),
        (raw.post(PATH, content=b"{", headers={"Content-Type": "application/json"}), 400, "json_invalid"),
        (raw.post(PATH, content=b"{}", headers={"Content-Type": "text/plain"}), 415, "unsupported_media_type"),
        (raw.get(PATH), 405, "method_not_allowed"),
        (raw.post("/v1/images/edits"), 404, "not_found"),
        (raw.post(PATH, json=ASKED, headers={"Cancel-After": "soon"}), 400, "invalid_time"),
    ):
        assert (response.status_code, response.headers["Content-Type"]) == (status, "application/json")
        assert response.json()["error"].keys() == {"message", "type", "param", "code"}
        assert response.json()["error"]["code"] == code
    assert raw.get("/v1/generations/x").headers["Content-Type"] == "application/problem+json"


def test_without_workers_the_client_is_told_when_to_come_back(openai_client: openai.OpenAI, store: JobStore) -> None:
    Presence(store.redis, "worker", ttl=600).withdraw()
    with pytest.raises(openai.InternalServerError, match="no worker is up") as raised:
        openai_client.images.generate(prompt="a red circle")
    assert (raised.value.status_code, raised.value.code, raised.value.type) == (503, "no_workers", "server_error")
    assert int(raised.value.response.headers["Retry-After"]) > 0


def ending(store: JobStore, status: Status, failure: Failure | None = None, reason: str | None = None) -> Any:
    def act(id: str) -> None:
        attempt = store.start(id, "worker")
        assert attempt is not None
        store.finish(id, attempt.token, status, error=failure, reason=reason)

    return act


@pytest.mark.parametrize(("retryable", "again"), [(True, "true"), (False, "false")])
def test_a_failure_is_repeated_only_where_that_may_help(
    openai_client: openai.OpenAI, worker: StandIn, store: JobStore, retryable: bool, again: str
) -> None:
    failure = Failure(code="out_of_memory", detail="there was no memory", retryable=retryable)
    with worker.at_work(ending(store, Status.FAILED, failure)):
        with pytest.raises(openai.InternalServerError, match="there was no memory") as raised:
            openai_client.images.generate(prompt="a red circle", extra_body=STEPS)
    assert (raised.value.code, raised.value.response.headers["X-Should-Retry"]) == ("out_of_memory", again)
    assert raised.value.response.headers["X-Generation-Id"] == only(store).id


@pytest.mark.parametrize(("status", "reason"), [(Status.CANCELED, "user"), (Status.EXPIRED, "deadline")])
def test_one_that_ended_early_is_a_conflict_and_not_repeated(
    url: str, worker: StandIn, store: JobStore, status: Status, reason: str
) -> None:
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=2) as patient,
        worker.at_work(ending(store, status, reason=reason)),
        pytest.raises(openai.ConflictError, match=reason) as raised,
    ):
        patient.images.generate(prompt="a red circle", extra_body=STEPS)
    assert raised.value.code == status
    only(store)


def test_a_failure_amid_a_stream_is_raised_by_the_client(
    openai_client: openai.OpenAI, worker: StandIn, store: JobStore
) -> None:
    with worker.at_work(lambda id: worker.fail(id, worker.start(id))):
        stream = openai_client.images.generate(prompt="a red circle", stream=True, extra_body=STEPS)
        with pytest.raises(openai.APIError, match="image 0 is not finite") as raised:
            list(stream)
    assert (raised.value.code, raised.value.type) == ("non_finite", "server_error")


def test_a_store_of_images_that_cannot_be_used_is_said_either_way(
    openai_client: openai.OpenAI, app: FastAPI, worker: StandIn
) -> None:
    app.state.gateway.artifacts = ArtifactStore("file:///dev/null/nowhere")
    with worker.at_work():
        with pytest.raises(openai.InternalServerError) as raised:
            openai_client.images.generate(prompt="a red circle", extra_body=STEPS)
        with pytest.raises(openai.APIError) as amid:
            list(openai_client.images.generate(prompt="a red circle", stream=True, extra_body=STEPS))
    assert (raised.value.code, amid.value.code) == ("storage_away", "storage_away")


def canceled(settings: Settings, store: JobStore, id: str) -> bool:
    events_until(settings, id, lambda event: event.type == "done")
    record = store.get(id)
    return record is not None and record.status == Status.CANCELED


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_its_generation(
    url: str, worker: StandIn, store: JobStore, settings: Settings, stream: bool
) -> None:
    seen: SimpleQueue[str] = SimpleQueue()
    with worker.at_work(seen.put):
        id = _leave(url, seen, {"stream": stream})
    assert canceled(settings, store, id)


def test_one_with_an_idempotency_key_is_kept_and_answered_later(
    raw: httpx.Client, url: str, worker: StandIn, store: JobStore
) -> None:
    seen: SimpleQueue[str] = SimpleQueue()
    key = {"Idempotency-Key": "k"}
    with worker.at_work(seen.put):
        id = _leave(url, seen, {}, key)
    assert any('status="499"' in raw.get("/metrics").text for _ in range(5000)), "it never noticed"
    worker.run(id)
    again = raw.post(PATH, json=ASKED, headers=key)
    assert (again.status_code, again.headers["Idempotent-Replayed"], again.headers["X-Generation-Id"]) == (
        200,
        "true",
        id,
    )


def _leave(url: str, seen: SimpleQueue[str], fields: dict[str, Any], headers: dict[str, str] | None = None) -> str:
    """Ask, and hang up as soon as the generation is accepted."""
    body = json.dumps(ASKED | fields)
    lines = {"Host": "x", "Content-Type": "application/json", "Content-Length": str(len(body))} | (headers or {})
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    place = urlsplit(url)
    with socket.create_connection((str(place.hostname), place.port or 0)) as connection:
        connection.sendall(f"POST {PATH} HTTP/1.1\r\n{head}\r\n{body}".encode())
        return seen.get(timeout=60)


def test_a_limit_per_caller_is_a_rate_limit() -> None:
    assert details(Refusal(429, "too_many_active", "9 are queued")).type == "rate_limit_error"
