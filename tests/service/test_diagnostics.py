"""Diagnostics: columns, lines, plots."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.plots import plot_diagnostics
from tests.service.stand_in import StandIn
from tests.service.test_generations import post

LINES, PNG, SVG = "application/x-ndjson", "image/png", "image/svg+xml"


@pytest.fixture
def path(client: TestClient, worker: StandIn) -> str:
    job = post(client, diagnostics="full")
    worker.run(job["id"])
    link: str = job["links"]["diagnostics"]
    return link


def test_columns_have_one_value_per_call(client: TestClient, path: str) -> None:
    document = client.get(path).json()
    assert [(image["index"], image["seed"]) for image in document["images"]] == [(0, 7), (1, 8)]
    columns = document["images"][0]["columns"]
    assert columns["cosine"] == [None, 0.5, 0.5]
    assert set(columns) == set(document["units"])


def test_lines_have_one_step_each(client: TestClient, path: str) -> None:
    response = client.get(path, headers={"Accept": LINES})
    assert response.headers["Content-Type"] == LINES
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert len(lines) == 6
    assert lines[0] == {
        "index": 0, "seed": 7, "step": 0, "call": 0, "sigma": 1.0, "weight": 3.0, "nfe": 2, "cosine": None
    }  # fmt: skip


@pytest.mark.parametrize(("accept", "begins"), [(PNG, b"\x89PNG\r\n"), (SVG, b"<?xml")])
def test_plots(client: TestClient, path: str, accept: str, begins: bytes) -> None:
    response = client.get(path, headers={"Accept": accept})
    assert response.headers["Content-Type"] == accept
    assert response.content.startswith(begins)


def test_a_plot_shows_what_was_measured_and_nothing_else(client: TestClient, path: str) -> None:
    text = client.get(path, headers={"Accept": SVG}).text
    for shown in ("guidance weight", "noise level sigma", "cosine, cond and uncond", "image 1, seed 8", "step"):
        assert shown in text
    assert "clipped" not in text


def test_a_plot_of_one_step_or_none_can_be_drawn() -> None:
    image: dict[str, Any] = {"index": 0, "seed": 7, "columns": {"step": [0], "weight": [None], "nfe": [1]}}
    assert plot_diagnostics({"images": [image]}, "svg")
    assert plot_diagnostics({"images": []}, "svg")


def test_a_summary_has_no_steps_to_show(client: TestClient, worker: StandIn) -> None:
    job = post(client, diagnostics="summary")
    worker.run(job["id"])
    path = job["links"]["diagnostics"]
    assert client.get(path).json()["images"][0]["summary"] == {"nfe": 6}
    for accept in (LINES, PNG):
        response = client.get(path, headers={"Accept": accept})
        assert (response.status_code, response.json()["code"]) == (404, "not_recorded")


def test_what_was_not_recorded_is_not_found(client: TestClient, worker: StandIn) -> None:
    off, failed, waiting = post(client, diagnostics="off"), post(client), post(client)
    assert off["diagnostics"] is None
    worker.run(off["id"])
    worker.fail(failed["id"], worker.start(failed["id"]))
    for job, code in ((off, "not_recorded"), (failed, "not_recorded"), (waiting, "not_ready")):
        response = client.get(job["links"]["diagnostics"])
        assert (response.status_code, response.json()["code"]) == (409 if job is waiting else 404, code)


def test_other_formats_are_not_to_be_had(client: TestClient, path: str) -> None:
    response = client.get(path, headers={"Accept": "text/html, application/json;q=0"})
    assert (response.status_code, response.json()["code"]) == (406, "not_acceptable")
