"""What live workers serve."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.testclient import TestClient

from jobs.presence import Presence
from jobs.store import JobStore
from tests.jobs.requests import TEXT


def test_models_are_those_of_live_workers(client: TestClient, store: JobStore, app: FastAPI) -> None:
    Presence(store.redis, "second", ttl=600).renew([TEXT])
    app.state.gateway.workers.forget()
    labels, text = client.get("/v1/models").json()["data"]
    assert (text["id"], text["workers"], text["condition"], text["width"]) == ("shapes", 2, "text", 64)
    able = ["attention", "classifier", "condition_embedding", "null_condition", "time_embedding"]
    assert text["capabilities"] == able
    assert text["layers"] == ["down.0.0", "mid.0", "up.0.0"]
    assert (text["classes"], labels["classes"]) == (["red", "blue", "checkered", "dark"], [])
    assert 0 < text["sigma_min"] < text["sigma_max"]
    assert (labels["id"], labels["workers"], labels["labels"]) == ("gaussians", 1, ["red", "green"])


def test_a_noise_table_that_ends_without_signal_has_no_largest_sigma(app: FastAPI, store: JobStore) -> None:
    zero_snr = TEXT.noise.model_copy(update={"rescale_betas_zero_snr": True})
    Presence(store.redis, "worker", ttl=600).renew([TEXT.model_copy(update={"noise": zero_snr})])
    with TestClient(app) as client:
        [model] = client.get("/v1/models").json()["data"]
        assert model["sigma_max"] is None
        first = client.post("/v1/guidance/validate", json={}).json()["steps"][0]
        assert (first["sigma"], first["log_snr"]) == (None, None)


def test_without_workers_there_are_none(app: FastAPI, store: JobStore) -> None:
    with TestClient(app) as client:
        assert client.get("/v1/models").json() == {"object": "list", "data": []}
