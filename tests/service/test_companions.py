"""A spec that names a second model: accepted where one worker serves both, refused at its name elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from jobs.presence import Presence
from jobs.store import JobStore
from tests.jobs.requests import TEXT
from tests.service.test_problems import BOTH, problem

WEAK = TEXT.model_copy(update={"id": "weak"})
OTHER = TEXT.model_copy(update={"id": "other"})


def body(model: str, path: str) -> dict[str, Any]:
    guidance = {"guidance": {"combiner": {"type": "autoguidance", "model": model}}}
    return guidance if path.endswith("validate") else guidance | {"prompt": "a red circle"}


def refusals(client: TestClient, body: dict[str, Any], path: str) -> list[tuple[str, str, str]]:
    found = problem(client.post(path, json=body), 422, "unsupported")
    return [(error["pointer"], error["code"], error["detail"]) for error in found["errors"]]


@pytest.fixture
def client(app: FastAPI, store: JobStore) -> Iterator[TestClient]:
    """Two workers serve `shapes`, one of them beside `weak`; a third serves another model alone."""
    for worker, models in (("one", [TEXT]), ("two", [TEXT, WEAK]), ("three", [OTHER])):
        Presence(store.redis, worker, ttl=600).renew(models)
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("path", BOTH)
def test_a_model_that_a_worker_serves_too_may_be_named(client: TestClient, path: str) -> None:
    response = client.post(path, json=body("weak", path))
    assert response.is_success, response.text


@pytest.mark.parametrize("path", BOTH)
def test_a_model_of_another_worker_cannot_be_asked(client: TestClient, path: str) -> None:
    [(pointer, code, detail)] = refusals(client, body("other", path), path)
    assert (pointer, code) == ("/guidance/combiner/model", "unknown_model")
    assert detail.startswith("model = 'other' is not served beside shapes")


@pytest.mark.parametrize("path", BOTH)
def test_an_unknown_model_is_told_from_those_there_are(client: TestClient, path: str) -> None:
    [(pointer, code, _)] = refusals(client, body("nowhere", path), path)
    assert (pointer, code) == ("/guidance/combiner/model", "unknown_model")


def test_a_model_of_other_samples_is_refused(client: TestClient, store: JobStore, app: FastAPI) -> None:
    Presence(store.redis, "two", ttl=600).renew([TEXT, WEAK.model_copy(update={"sample_space": "pixels"})])
    app.state.gateway.workers.forget()
    [(pointer, code, detail)] = refusals(client, body("weak", BOTH[0]), BOTH[0])
    assert (pointer, code) == ("/guidance/combiner/model", "unsuitable_model")
    assert detail.startswith("model = weak: its samples are pixels")
