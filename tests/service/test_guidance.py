"""The catalogue, and what a spec comes to."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from guidance.catalogue import catalogue
from guidance.plan import plan
from guidance.presets import PRESETS
from guidance.registry import UNIONS
from guidance.samplers import Heun
from guidance.spec import GuidanceSpec
from jobs.store import JobStore
from tests.jobs.requests import TEXT

SVG = "image/svg+xml"


def validate(client: TestClient, **body: Any) -> dict[str, Any]:
    response = client.post("/v1/guidance/validate", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_the_catalogue_has_every_method_and_preset(client: TestClient) -> None:
    listed = client.get("/v1/guidance").json()
    assert listed == catalogue()
    assert set(listed) == {*UNIONS, "presets"}


def test_the_default_spec_comes_to_plain_cfg(client: TestClient) -> None:
    answer = validate(client)
    assert (answer["nfe"], answer["cfg_nfe"], answer["saving"], answer["warnings"]) == (60, 60, 0, [])
    assert [step["weight"] for step in answer["steps"]] == [5.0] * 30
    assert answer["sampler"]["spacing"] == "trailing"


def test_an_interval_saves_what_lies_outside_it(client: TestClient) -> None:
    answer = validate(client, guidance={"schedule": {"type": "interval", "sigma_low": 0.3, "sigma_high": 5}})
    off = [step for step in answer["steps"] if step["weight"] is None]
    assert off and all(step["nfe"] == 1 for step in off)
    assert all(0.3 < step["sigma"] <= 5 for step in answer["steps"] if step["weight"] is not None)
    assert answer["nfe"] == 60 - len(off)
    assert answer["saving"] == pytest.approx(len(off) / 60)


def test_what_is_shown_is_the_plan_that_runs(client: TestClient) -> None:
    spec = {"schedule": {"type": "cosine"}, "correction": [{"type": "rescale"}]}
    answer = validate(client, sampler={"type": "heun", "steps": 5}, guidance=spec)
    planned = plan(GuidanceSpec.model_validate(spec), Heun(steps=5), TEXT)
    assert [(step["step"], step["call"], step["sigma"], step["weight"], step["nfe"]) for step in answer["steps"]] == [
        (call.step, call.within, call.level.ratio, call.weight, call.nfe) for call in planned.calls
    ]


def test_warnings_are_passed_on(client: TestClient) -> None:
    never = {"type": "interval", "sigma_low": 1000, "sigma_high": 2000}
    assert "off at every step" in validate(client, guidance={"schedule": never})["warnings"][0]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_valid(client: TestClient, preset: str) -> None:
    assert validate(client, guidance={"preset": preset})["guidance"]["preset"] == preset


@pytest.mark.parametrize("sampler", ["ddim", "heun"])
def test_a_schedule_can_be_drawn(client: TestClient, sampler: str) -> None:
    body = {"sampler": {"type": sampler, "steps": 8}, "guidance": {"schedule": {"type": "interval"}}}
    response = client.post("/v1/guidance/validate", json=body, headers={"Accept": SVG})
    assert response.headers["Content-Type"] == SVG
    assert "cfg on shapes" in response.text


def test_one_step_can_be_drawn(client: TestClient) -> None:
    body = {"sampler": {"type": "ddim", "steps": 1}}
    assert client.post("/v1/guidance/validate", json=body, headers={"Accept": SVG}).is_success


def test_nothing_is_queued(client: TestClient, store: JobStore) -> None:
    validate(client)
    assert store.load().generations == 0
