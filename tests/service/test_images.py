"""The bytes of images and their headers."""

from __future__ import annotations

import hashlib

import pytest
from starlette.testclient import TestClient

from jobs.artifacts import prefix
from tests.service.stand_in import StandIn, picture
from tests.service.test_generations import post


def test_bytes_are_as_stored(client: TestClient, worker: StandIn) -> None:
    id = post(client)["id"]
    worker.run(id)
    response = client.get(f"/v1/generations/{id}/images/1")
    assert (response.status_code, response.content) == (200, picture(8))
    assert response.headers["Content-Type"] == "image/png"
    assert response.headers["X-Seed"] == "8"
    assert response.headers["ETag"] == f'"{hashlib.sha256(picture(8)).hexdigest()}"'
    assert response.headers["Cache-Control"] == "private, max-age=86400, immutable"


@pytest.mark.parametrize("format", ["webp", "jpeg"])
def test_the_format_is_the_one_asked_for(client: TestClient, worker: StandIn, format: str) -> None:
    id = post(client, output={"format": format})["id"]
    worker.run(id)
    path = f"/v1/generations/{id}/images/0"
    assert client.get(path, headers={"Accept": "image/*"}).headers["Content-Type"] == f"image/{format}"
    refused = client.get(path, headers={"Accept": "image/png"})
    assert (refused.status_code, refused.json()["code"]) == (406, "not_acceptable")


def test_unchanged_bytes_are_not_sent_again(client: TestClient, worker: StandIn) -> None:
    id = post(client)["id"]
    worker.run(id)
    path = f"/v1/generations/{id}/images/0"
    again = client.get(path, headers={"If-None-Match": client.get(path).headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(path, headers={"If-None-Match": '"another"'}).status_code == 200


def test_images_of_a_job_that_runs_conflict_with_its_state(client: TestClient) -> None:
    response = client.get(f"/v1/generations/{post(client)['id']}/images/0")
    assert (response.status_code, response.json()["code"], response.json()["retryable"]) == (409, "not_ready", True)


def test_images_beyond_the_last_are_not_found(client: TestClient, worker: StandIn) -> None:
    id = post(client)["id"]
    worker.run(id)
    for index in ("2", "-1", "first"):
        response = client.get(f"/v1/generations/{id}/images/{index}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_bytes_that_expired_are_gone(client: TestClient, worker: StandIn) -> None:
    id = post(client, diagnostics="full")["id"]
    worker.run(id)
    worker.artifacts.delete(prefix(id))
    for path in ("images/0", "diagnostics"):
        response = client.get(f"/v1/generations/{id}/{path}")
        assert (response.status_code, response.json()["code"]) == (410, "expired")
