"""Everything that can be wrong with a request, and what the answer says."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import Response
from starlette.testclient import TestClient

from jobs.presence import Presence
from jobs.settings import Settings
from jobs.store import JobStore
from service.app import create_app
from service.pointers import MOST_ITEMS
from tests.guidance.strategies import PICTURE
from tests.jobs.requests import TEXT
from tests.service.test_generations import ASKED, post

UNKNOWN = "00000000-0000-7000-8000-000000000000"
BOTH = ("/v1/generations", "/v1/guidance/validate")


def problem(response: Response, status: int, code: str) -> dict[str, Any]:
    """Its members, after checking what every problem has."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert (found["status"], found["code"]) == (status, code)
    assert found["type"] == f"urn:guidepost:problem:{code}"
    assert found["title"] and found["detail"]
    assert found["instance"] == response.url.path
    assert found["request_id"] == response.headers["X-Request-Id"]
    assert found["retryable"] is (status in (429, 503) or code == "not_ready")
    for error in found["errors"]:
        assert set(error) == {"pointer", "code", "detail", "location"}
    assert "Traceback" not in response.text
    return found


def errors(
    client: TestClient, body: Any, path: str = "/v1/generations", code: str = "invalid_request"
) -> list[tuple[str, str, str]]:
    found = problem(client.post(path, json=body), 422, code)
    assert all(error["location"] == "body" for error in found["errors"])
    return [(error["pointer"], error["code"], error["detail"]) for error in found["errors"]]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/v1/generations/{UNKNOWN}"),
        ("GET", "/v1/generations/no-id"),
        ("GET", "/v1/generations/..%2f..%2fetc"),
        ("POST", f"/v1/generations/{UNKNOWN}/cancel"),
        ("GET", f"/v1/generations/{UNKNOWN}/events"),
        ("GET", f"/v1/generations/{UNKNOWN}/images/0"),
        ("GET", f"/v1/generations/{UNKNOWN}/diagnostics"),
        ("GET", "/v1/nothing"),
    ],
)
def test_404_what_is_unknown(client: TestClient, method: str, path: str) -> None:
    problem(client.request(method, path), 404, "not_found")


def test_405_names_what_is_allowed(client: TestClient) -> None:
    response = client.delete("/v1/generations")
    problem(response, 405, "method_not_allowed")
    assert response.headers["Allow"]


@pytest.mark.parametrize("path", BOTH)
def test_413_a_body_that_is_too_large(client: TestClient, settings: Settings, path: str) -> None:
    body = b" " * (settings.max_body_bytes + 1)
    problem(client.post(path, content=body), 413, "body_too_large")
    problem(client.post(path, content=iter([body[:-1], b" "])), 413, "body_too_large")  # chunked: not announced


def test_a_body_of_the_largest_size_is_read(client: TestClient, settings: Settings) -> None:
    body = b'{"prompt": "a red circle"}'.ljust(settings.max_body_bytes)
    assert client.post("/v1/generations", content=body, headers={"Content-Type": "application/json"}).is_success
    chunks = iter([body[:10], body[10:]])
    assert client.post("/v1/generations", content=chunks, headers={"Content-Type": "application/json"}).is_success


def test_415_a_body_that_is_not_called_json(client: TestClient) -> None:
    response = client.post("/v1/generations", data={"prompt": "a red circle"})
    assert "application/x-www-form-urlencoded" in problem(response, 415, "unsupported_media_type")["detail"]


def test_422_a_body_that_is_not_json(client: TestClient) -> None:
    response = client.post("/v1/generations", content=b'{"prompt": ', headers={"Content-Type": "application/json"})
    [error] = problem(response, 422, "invalid_request")["errors"]
    assert (error["pointer"], error["code"]) == ("", "json_invalid")


@pytest.mark.parametrize("body", [[], "prompt", 1, None])
def test_422_a_body_that_is_no_object(client: TestClient, body: Any) -> None:
    [(pointer, _, _)] = errors(client, body)
    assert pointer == ""


def test_422_a_body_without_a_condition(client: TestClient) -> None:
    assert errors(client, {}) == [
        ("", "one_condition", "one of prompt and label is needed; neither was given"),
    ]


def test_422_a_misspelt_field_is_refused_and_a_better_one_suggested(client: TestClient) -> None:
    assert errors(client, ASKED | {"sede": 3}) == [
        ("/sede", "extra_forbidden", "sede is not a field here; did you mean 'seed'?"),
    ]


def test_422_names_field_value_and_bound(client: TestClient) -> None:
    assert errors(client, ASKED | {"n": 17, "seed": "x"}) == [
        ("/n", "less_than_equal", "n = 17: input should be less than or equal to 16"),
        ("/seed", "int_type", "seed = 'x': input should be a valid integer"),
    ]


def test_422_says_how_many_there_are(client: TestClient) -> None:
    found = problem(client.post("/v1/generations", json=ASKED | {"n": 0, "width": -1}), 422, "invalid_request")
    assert found["detail"] == "n = 0: input should be greater than or equal to 1 (and 1 more)"


def test_422_long_values_are_cut(client: TestClient) -> None:
    [(_, _, detail)] = errors(client, ASKED | {"n": "x" * 5000})
    assert len(detail) < 250


@pytest.mark.parametrize("path", BOTH)
@pytest.mark.parametrize(
    ("field", "spec", "pointer"),
    [
        ("guidance", {"schedule": {"type": "interval", "weight": 1e9}}, "/guidance/schedule/weight"),
        ("guidance", {"schedule": {"type": "interval", "wieght": 1}}, "/guidance/schedule/wieght"),
        ("guidance", {"schedule": {"type": "intervall"}}, "/guidance/schedule/type"),
        ("guidance", {"schedule": {"weight": 3}}, "/guidance/schedule/type"),
        ("guidance", {"schedule": 3}, "/guidance/schedule"),
        (
            "guidance",
            {"schedule": {"type": "interval", "sigma_low": 9, "sigma_high": 1}},
            "/guidance/schedule",
        ),
        ("guidance", {"combiner": {"type": "cfg", "weight": 3}}, "/guidance/combiner/weight"),
        ("guidance", {"combiner": {"type": "fcg"}}, "/guidance/combiner/type"),
        ("guidance", {"condition": [{"type": "cads", "tau1": 3}]}, "/guidance/condition/0/tau1"),
        ("guidance", {"condition": [{"type": "scad"}]}, "/guidance/condition/0/type"),
        (
            "guidance",
            {"correction": [{"type": "rescale"}, {"type": "static_threshold", "bound": -1}]},
            "/guidance/correction/1/bound",
        ),
        ("guidance", {"correction": [{"type": "rescale"}, {"type": "rescale"}]}, "/guidance"),
        ("guidance", {"preset": "nothing"}, "/guidance"),
        ("guidance", {"preset": "cfg_fixed", "weight": 3}, "/guidance/weight"),
        ("guidance", {"reuse": {}}, "/guidance/reuse/type"),
        ("guidance", {"reused": {}}, "/guidance/reused"),
        ("sampler", {"type": "heun", "steps": 0}, "/sampler/steps"),
        ("sampler", {"type": "heun", "spacing": "even"}, "/sampler/spacing"),
        ("sampler", {"steps": 3}, "/sampler/type"),
        ("sampler", {"type": "ddim", "eta": 2}, "/sampler/eta"),
    ],
    ids=str,
)
def test_422_pointers_lead_into_the_body(
    client: TestClient, path: str, field: str, spec: dict[str, Any], pointer: str
) -> None:
    body = {field: spec} | ({"prompt": "a red circle"} if path == "/v1/generations" else {})
    assert [found for found, _, _ in errors(client, body, path)] == [pointer]


@pytest.mark.parametrize("path", BOTH)
def test_422_what_the_model_cannot_run(client: TestClient, path: str) -> None:
    body: dict[str, Any] = {
        "guidance": {"correction": [{"type": "static_threshold"}]},
        "sampler": {"type": "ddpm", "spacing": "karras"},
    }
    body |= {"prompt": "a red circle"} if path == "/v1/generations" else {}
    found = problem(client.post(path, json=body), 422, "unsupported")
    pointers = [error["pointer"] for error in found["errors"]]
    assert pointers == ["/guidance/correction/0/latent_ok", "/sampler/spacing"]


@pytest.mark.parametrize("path", BOTH)
def test_422_an_unknown_model_names_those_that_are_served(client: TestClient, path: str) -> None:
    body = {"model": "sd9"} | ({"prompt": "a red circle"} if path == "/v1/generations" else {})
    [error] = problem(client.post(path, json=body), 422, "unsupported")["errors"]
    assert (error["pointer"], error["code"]) == ("/model", "unknown_model")
    assert error["detail"] == "model = 'sd9' is not served; there is gaussians, shapes"


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("limit=0", "/limit"), ("limit=101", "/limit"), ("status=done", "/status"), ("after=x", "/after")],
)
def test_422_queries(client: TestClient, query: str, pointer: str) -> None:
    [error] = problem(client.get(f"/v1/generations?{query}"), 422, "invalid_request")["errors"]
    assert (error["pointer"], error["location"]) == (pointer, "query")


def test_nothing_that_is_refused_is_queued(client: TestClient, store: JobStore) -> None:
    for body in ({}, ASKED | {"sede": 3}, ASKED | {"model": "sd9"}, ASKED | {"width": 3}):
        assert client.post("/v1/generations", json=body).status_code == 422
    assert store.redis.keys("rq:*") == []
    assert store.load().generations == 0


def test_503_without_a_worker(app: FastAPI, store: JobStore) -> None:
    with TestClient(app) as client:
        response = client.post("/v1/generations", json=ASKED)
        problem(response, 503, "no_workers")
        assert int(response.headers["Retry-After"]) > 0
        Presence(store.redis, "worker", ttl=600).renew([TEXT])  # used at once
        post(client)


def test_503_with_a_full_queue(settings: Settings, store: JobStore) -> None:
    Presence(store.redis, "worker", ttl=600).renew([TEXT])
    with TestClient(create_app(settings.model_copy(update={"max_queue": 2}))) as client:
        first = post(client)
        post(client)
        response = client.post("/v1/generations", json=ASKED)
        assert problem(response, 503, "queue_full")["detail"] == "2 generations wait, and 2 may"
        assert int(response.headers["Retry-After"]) > 0
        client.post(first["links"]["cancel"])
        post(client)


def test_500_says_nothing_of_what_happened(app: FastAPI) -> None:
    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("a secret")

    with TestClient(app) as client:
        response = client.get("/broken")
    problem(response, 500, "internal_error")
    assert "secret" not in response.text


def descending(loss: dict[str, Any], **stages: Any) -> dict[str, Any]:
    """A request whose guidance descends a loss."""
    return ASKED | {"guidance": {"energy": [{"type": "dps", "losses": [loss]}], **stages}}


LOSS = "/guidance/energy/0/losses/0"


@pytest.mark.parametrize(
    ("loss", "pointer", "code", "detail"),
    [
        ({"type": "match", "image": "http://example.org/a.png"}, "/image", "picture", "must be a data URL"),
        ({"type": "match", "image": "data:image/png;base64,AAAA"}, "/image", "picture", "no PNG file"),
        ({"type": "match", "image": PICTURE}, "/image", "wrong_picture_size", "1 x 1 pixels and must be 64 x 64"),
        (
            {"type": "match", "image": PICTURE, "operator": "downscale", "factor": 8},
            "/image",
            "wrong_picture_size",
            "must be 8 x 8 pixels, 1/8 of the image's 64 x 64",
        ),
        ({"type": "match", "image": PICTURE, "operator": "mask"}, "", "value_error", "operator = mask needs a mask"),
        ({"type": "label", "labels": ["violet"]}, "/labels/0", "unknown_class", "tells apart red, blue, checkered"),
        ({"type": "colour", "target": "red"}, "/target", "string_pattern_mismatch", "target = 'red'"),
    ],
    ids=["address", "no file", "size", "downscaled size", "no mask", "class", "colour"],
)
def test_422_a_loss_that_cannot_be_descended(
    client: TestClient, loss: dict[str, Any], pointer: str, code: str, detail: str
) -> None:
    unsupported = code in ("wrong_picture_size", "unknown_class")  # well formed, but not for this model
    [found] = errors(client, descending(loss), code="unsupported" if unsupported else "invalid_request")
    assert found[:2] == (LOSS + pointer, code) and detail in found[2]


def test_422_two_energies_that_descend(client: TestClient) -> None:
    energies = [{"type": name, "losses": [{"type": "colour"}]} for name in ("dps", "mpgd")]
    [(pointer, _, detail)] = errors(client, ASKED | {"guidance": {"energy": energies}})
    assert (pointer, detail) == ("/guidance", "dps and mpgd both descend losses: give all the losses to one of them")


def test_very_many_mistakes_are_named_in_part_and_counted_in_full(client: TestClient) -> None:
    response = client.post("/v1/generations", json={"prompt": "a"} | {f"field{k}": k for k in range(5000)})
    found = problem(response, 422, "invalid_request")
    assert len(found["errors"]) == MOST_ITEMS
    assert found["detail"] == "field0 is not a field here (and 4999 more)"


def test_a_long_name_is_not_repeated_whole(client: TestClient) -> None:
    response = client.post("/v1/generations", json={"prompt": "a", "x" * 100_000: 1, "output": {"y" * 100_000: 1}})
    problem(response, 422, "invalid_request")
    assert len(response.content) < 2000
