"""OpenAI's own client, as it is, against a real server: the Images facade."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import openai
import pytest
from fastapi import FastAPI
from openai.types import ImageGenCompletedEvent, ImageGenPartialImageEvent, ImagesResponse

from jobs import keys
from jobs.api_keys import ApiKeyStore
from jobs.record import Record
from jobs.request import GenerationRequest
from jobs.store import JobStore
from service.openai.request import ImageGenerationRequest
from tests.service.server import serving
from tests.service.stand_in import StandIn, picture
from tests.workers.process import running_worker

STEPS: dict[str, Any] = {"seed": 7, "sampler": {"type": "ddim", "steps": 3}}
ASKED: dict[str, Any] = {"prompt": "a red circle", **STEPS}
PATH = "/v1/images/generations"


def decoded(b64: str | None) -> bytes:
    assert b64 is not None
    return base64.b64decode(b64)


def only(store: JobStore) -> Record:
    [record] = store.page().records
    return record


def test_images_come_as_bytes(openai_client: openai.OpenAI, worker: StandIn, store: JobStore) -> None:
    with worker.at_work():
        answer = openai_client.images.generate(prompt="a red circle", n=2, size="64x64", extra_body=STEPS)
    assert answer.data is not None
    assert [decoded(image.b64_json) for image in answer.data] == [picture(7), picture(8)]
    assert (answer.size, answer.output_format, answer.background) == ("64x64", "png", "opaque")
    assert answer.usage is not None and answer.usage.total_tokens == 0
    record = only(store)
    assert record.finished_at is not None and answer.created == int(record.finished_at.timestamp())


def test_its_api_key_is_ours_and_its_exceptions_say_what_is_wrong_with_it(
    openai_client: openai.OpenAI, api_keys: ApiKeyStore, worker: StandIn, store: JobStore
) -> None:
    def ask(token: str) -> ImagesResponse:
        return openai_client.with_options(api_key=token).images.generate(prompt="a red circle", extra_body=STEPS)

    key, token = api_keys.create(quota=1000)
    with worker.at_work():
        assert ask(token).data
    with pytest.raises(openai.AuthenticationError, match="none of the keys"):
        ask("sk-another-service")
    with pytest.raises(openai.PermissionDeniedError, match="needs the scope write"):
        ask(api_keys.create(scopes=["read"])[1])
    store.redis.set(keys.quota(key.tenant), 1000)
    with pytest.raises(openai.RateLimitError, match="are spent"):
        ask(token)


def test_urls_are_whole_and_lead_to_the_bytes(openai_client: openai.OpenAI, worker: StandIn) -> None:
    with worker.at_work():
        answer = openai_client.images.generate(prompt="a red circle", n=2, response_format="url", extra_body=STEPS)
    assert answer.data is not None
    assert [image.b64_json for image in answer.data] == [None, None]
    assert [httpx.get(str(image.url)).content for image in answer.data] == [picture(7), picture(8)]


def test_an_answer_has_the_clients_own_shape_and_names_its_generation(raw: httpx.Client, worker: StandIn) -> None:
    with worker.at_work():
        response = raw.post(PATH, json=ASKED | {"output_format": "webp"})
    assert response.status_code == 200
    ImagesResponse.model_validate(response.json(), strict=True)
    assert response.json()["data"][0].keys() == {"b64_json", "seed"}
    assert response.json()["usage"]["nfe"] == 6
    [job] = raw.get("/v1/generations").json()["data"]
    assert response.headers["X-Generation-Id"] == job["id"]
    assert response.headers["Location"] == job["links"]["self"]
    assert (job["request"]["seed"], job["request"]["output"]["format"]) == (7, "webp")


def test_a_stream_shows_previews_then_the_image(openai_client: openai.OpenAI, worker: StandIn, store: JobStore) -> None:
    def act(id: str) -> None:
        attempt = worker.start(id)
        for step in range(attempt.request.output.previews):
            data = base64.b64encode(b"preview %d" % step).decode()
            store.event(id, attempt.token, "preview", {"index": 0, "step": step, "b64_png": data})
        worker.succeed(id, attempt)

    with (
        worker.at_work(act),
        openai_client.images.generate(
            prompt="a red circle", stream=True, partial_images=2, output_format="jpeg", extra_body=STEPS
        ) as stream,
    ):
        first, second, last = list(stream)
    assert isinstance(first, ImageGenPartialImageEvent) and isinstance(second, ImageGenPartialImageEvent)
    assert [first.partial_image_index, second.partial_image_index] == [0, 1]
    assert [decoded(first.b64_json), decoded(second.b64_json)] == [b"preview 0", b"preview 1"]
    assert isinstance(last, ImageGenCompletedEvent)
    assert decoded(last.b64_json) == picture(7, "jpeg")
    assert (first.output_format, last.output_format, last.size, last.usage.total_tokens) == ("png", "jpeg", "64x64", 0)


def test_events_have_the_clients_own_shape(raw: httpx.Client, worker: StandIn, store: JobStore) -> None:
    def act(id: str) -> None:
        attempt = worker.start(id)
        store.event(id, attempt.token, "preview", {"index": 0, "step": 1, "b64_png": "AAAA"})
        worker.succeed(id, attempt)

    with worker.at_work(act):
        response = raw.post(PATH, json=ASKED | {"stream": True, "partial_images": 1})
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["X-Generation-Id"] == only(store).id
    blocks = [block.splitlines() for block in response.text.split("\n\n") if block and not block.startswith(":")]
    partial, completed = [json.loads(data.removeprefix("data: ")) for _, data in blocks]
    ImageGenPartialImageEvent.model_validate(partial, strict=True)
    ImageGenCompletedEvent.model_validate(completed, strict=True)
    assert [event.removeprefix("event: ") for event, _ in blocks] == [partial["type"], completed["type"]]


def test_another_attempt_counts_its_previews_from_the_start(
    openai_client: openai.OpenAI, worker: StandIn, store: JobStore
) -> None:
    def act(id: str) -> None:
        attempt = worker.start(id)
        if attempt.number == 1:
            store.event(id, attempt.token, "preview", {"index": 0, "step": 1, "b64_png": "AAAA"})
            store.hand_back(id, attempt.token)
        else:
            store.event(id, attempt.token, "preview", {"index": 0, "step": 1, "b64_png": "BBBB"})
            worker.succeed(id, attempt)

    with worker.at_work(act):
        stream = openai_client.images.generate(prompt="a red circle", stream=True, partial_images=1, extra_body=STEPS)
        told = [event for event in stream if isinstance(event, ImageGenPartialImageEvent)]
    assert [(event.partial_image_index, event.b64_json) for event in told] == [(0, "AAAA"), (0, "BBBB")]


def test_a_stream_whose_events_are_gone_still_brings_the_image(
    raw: httpx.Client, worker: StandIn, store: JobStore
) -> None:
    asked, key = ASKED | {"stream": True}, {"Idempotency-Key": "k"}
    with worker.at_work():
        raw.post(PATH, json=asked, headers=key)
    store.redis.delete(keys.events(only(store).id))
    again = raw.post(PATH, json=asked, headers=key)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "event: image_generation.completed" in again.text


def test_models_are_listed(openai_client: openai.OpenAI) -> None:
    listed = list(openai_client.models.list())
    assert [model.id for model in listed] == ["gaussians", "shapes"]
    assert {(model.object, model.owned_by) for model in listed} == {("model", "guidepost")}


def test_what_a_client_sends_by_itself_is_the_plain_generation() -> None:
    sent = {"prompt": "p", "moderation": "auto", "quality": "auto", "background": "auto", "style": None, "user": None}
    assert ImageGenerationRequest.model_validate(sent).generation() == GenerationRequest(prompt="p")


def test_the_user_is_kept_as_metadata() -> None:
    asked = ImageGenerationRequest(prompt="p", user="old", safety_identifier="new")
    assert asked.generation().metadata == {"user": "new"}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_as_the_native_route(app: FastAPI, store: JobStore) -> None:
    asked = ASKED | {"n": 2, "sampler": {"type": "ddim", "steps": 2}, "guidance": {"correction": []}}
    with running_worker(app.state.gateway.settings, models="shapes"), serving(app) as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client, httpx.Client(base_url=url) as raw:
            extra = {name: value for name, value in asked.items() if name not in ("prompt", "n")}
            answer = client.images.generate(prompt=asked["prompt"], n=2, extra_body=extra)
            job = raw.post("/v1/generations", json=asked, headers={"Prefer": "wait=60"}, timeout=90).json()
            native = [raw.get(image["url"]).content for image in job["images"]]
            stream = client.images.generate(prompt=asked["prompt"], stream=True, partial_images=1, extra_body=extra)
            preview, last = list(stream)
    assert answer.data is not None
    assert [decoded(image.b64_json) for image in answer.data] == native
    assert decoded(last.b64_json) == native[0]
    assert decoded(preview.b64_json).startswith(b"\x89PNG")
