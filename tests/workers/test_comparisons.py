"""Comparisons run by a real worker process: the same bytes as alone, the same initial noise."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from jobs.settings import Settings
from service.app import create_app
from tests.workers.process import running_worker

pytestmark = pytest.mark.redis

BASE: dict[str, Any] = {
    "model": "gaussians",
    "label": 1,
    "seed": 3,
    "sampler": {"type": "ddim", "steps": 4},
    "output": {"embed": False},  # else each file holds its own spec
}
STRONG = {"schedule": {"type": "constant", "weight": 9.0}}
NEUTRAL = {**STRONG, "correction": [{"type": "rescale", "phi": 0.0}]}


@pytest.fixture
def client(settings: Settings, worker: subprocess.Popen[str]) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture
def worker(settings: Settings, connection: object) -> Iterator[subprocess.Popen[str]]:
    with running_worker(settings) as process:
        yield process


def finished(client: TestClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    response = client.post(path, json=body, headers={"Prefer": "wait=60"})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    assert found["status"] == "succeeded"
    return found


def shas(generation: dict[str, Any]) -> list[str]:
    return [image["sha256"] for image in generation["images"]]


def test_each_generation_is_the_same_alone_and_all_begin_from_the_same_noise(client: TestClient) -> None:
    specs: list[dict[str, Any]] = [
        {"guidance": STRONG},
        {"guidance": NEUTRAL},
        {"sampler": {"type": "euler", "steps": 3}},
    ]
    comparison = finished(client, "/v1/comparisons", BASE | {"n": 2, "specs": specs})
    strong, neutral, euler = comparison["generations"]
    for spec, generation in zip(specs, comparison["generations"], strict=True):
        assert shas(generation) == shas(finished(client, "/v1/generations", BASE | {"n": 2} | spec))
    assert shas(strong) == shas(neutral)
    assert not set(shas(strong)) & set(shas(euler))
    # Two images are two seeds: each is image 0 of its own.
    assert shas(strong)[1:] == shas(finished(client, "/v1/generations", BASE | {"seed": 4, "guidance": STRONG}))
    document = client.get(comparison["links"]["diagnostics"]).json()
    assert [one["nfe"] for one in document["series"]] == [8, 8, 8, 8, 6, 6]
    first = [column[0] for column in document["columns"]["cond_norm"][0:4:2]]
    assert first[0] == first[1]
    assert client.get(comparison["links"]["image"]).content.startswith(b"\x89PNG")
