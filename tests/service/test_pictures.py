"""The pictures of the diagnostics: listed, served, kept by clients, and not there."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from jobs.artifacts import picture_key, prefix
from service.openapi import document
from service.schemas import Diagnostics
from tests.service.stand_in import StandIn, sheet
from tests.service.test_generations import post


@pytest.fixture
def job(client: TestClient, worker: StandIn) -> dict[str, Any]:
    """Two images with full diagnostics; each has one picture."""
    job = post(client, diagnostics="full")
    worker.run(job["id"])
    return job


def test_the_diagnostics_list_the_pictures_of_each_image(client: TestClient, job: dict[str, Any]) -> None:
    answer = client.get(job["links"]["diagnostics"]).json()
    assert Diagnostics.model_validate(answer)
    for index, image in enumerate(answer["images"]):
        [picture] = image["pictures"]
        assert picture["url"] == f"/v1/generations/{job['id']}/diagnostics/{index}/segments"
        assert (picture["name"], picture["meaning"], picture["steps"]) == ("segments", "which", [0, 1, 2])
        assert client.get(picture["url"]).content == sheet(index)
        assert picture["sha256"] == hashlib.sha256(sheet(index)).hexdigest()


def test_a_picture_is_a_png_that_lasts(client: TestClient, job: dict[str, Any]) -> None:
    response = client.get(f"{job['links']['diagnostics']}/1/segments")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "image/png")
    assert response.headers["ETag"] == f'"{hashlib.sha256(sheet(1)).hexdigest()}"'
    assert response.headers["Cache-Control"] == "private, max-age=86400, immutable"
    head = client.head(f"{job['links']['diagnostics']}/1/segments")
    assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", response.headers["ETag"])
    refused = client.get(f"{job['links']['diagnostics']}/1/segments", headers={"Accept": "image/webp"})
    assert (refused.status_code, refused.json()["code"]) == (406, "not_acceptable")


def test_unchanged_bytes_are_not_sent_again(client: TestClient, job: dict[str, Any]) -> None:
    path = f"{job['links']['diagnostics']}/0/segments"
    again = client.get(path, headers={"If-None-Match": client.get(path).headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(path, headers={"If-None-Match": '"another"'}).status_code == 200


@pytest.mark.parametrize("place", ["2/segments", "0/weight_factor", "-1/segments", "first/segments", "0/..%2f..%2fx"])
def test_what_is_not_listed_is_not_found(client: TestClient, job: dict[str, Any], place: str) -> None:
    response = client.get(f"{job['links']['diagnostics']}/{place}")
    assert (response.status_code, response.headers["Content-Type"]) == (404, "application/problem+json")
    assert response.json()["code"] == "not_found"


def test_the_refusal_names_the_pictures_that_there_are(client: TestClient, job: dict[str, Any]) -> None:
    detail = client.get(f"{job['links']['diagnostics']}/0/weight_factor").json()["detail"]
    assert "0/segments, 1/segments" in detail


def test_what_was_not_recorded_is_not_found(client: TestClient, worker: StandIn) -> None:
    off, waiting, summary = post(client, diagnostics="off"), post(client), post(client, diagnostics="summary")
    for job in (off, summary):
        worker.run(job["id"])
    for job, code in ((off, "not_recorded"), (waiting, "not_ready"), (summary, "not_found")):
        response = client.get(f"{job['links']['diagnostics']}/0/segments")
        assert (response.status_code, response.json()["code"]) == (409 if job is waiting else 404, code)
    assert "pictures" not in client.get(summary["links"]["diagnostics"]).json()["images"][0]


def test_bytes_that_expired_are_gone(client: TestClient, worker: StandIn, job: dict[str, Any]) -> None:
    path = f"{job['links']['diagnostics']}/0/segments"
    worker.artifacts.delete(f"{prefix(job['id'])}/1/diagnostics")
    assert worker.artifacts.get(picture_key(job["id"], 1, 0, "segments")) is None
    assert (client.get(path).status_code, client.get(path).json()["code"]) == (410, "expired")
    worker.artifacts.delete(prefix(job["id"]))
    assert (client.get(path).status_code, client.get(path).json()["code"]) == (410, "expired")


def test_the_document_describes_them(app: FastAPI) -> None:
    spec = document(app)
    answers = spec["paths"]["/v1/generations/{id}/diagnostics/{index}/{name}"]["get"]["responses"]
    assert answers.keys() >= {"200", "304", "404", "406", "410"}
    assert "image/png" in answers["200"]["content"]
    listed = spec["components"]["schemas"]["DiagnosticsPicture"]
    assert listed["properties"].keys() == {"name", "meaning", "url", "steps", "sha256", "width", "height"}
    assert set(listed["required"]) == listed["properties"].keys()
