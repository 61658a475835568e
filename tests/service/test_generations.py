"""Generations over HTTP: post, wait, read, list, cancel."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from jobs.record import Status
from jobs.store import JobStore
from tests.service.stand_in import StandIn

ASKED = {"prompt": "a red circle", "seed": 7, "n": 2, "sampler": {"type": "ddim", "steps": 3}}


def post(client: TestClient, **fields: Any) -> dict[str, Any]:
    response = client.post("/v1/generations", json=ASKED | fields)
    assert response.status_code == 202, response.text
    job: dict[str, Any] = response.json()
    return job


def test_a_post_is_accepted_and_found(client: TestClient) -> None:
    response = client.post("/v1/generations", json=ASKED)
    job = response.json()
    assert response.status_code == 202
    assert response.headers["Location"] == job["links"]["self"] == f"/v1/generations/{job['id']}"
    assert "Preference-Applied" not in response.headers
    assert client.get(response.headers["Location"]).json() == job


def test_a_job_that_waits(client: TestClient) -> None:
    post(client)
    job = post(client, metadata={"project": "x"})
    here = f"/v1/generations/{job['id']}"
    assert job.pop("created_at").endswith("Z")
    assert job.pop("request") == {
        "model": "shapes",
        "prompt": "a red circle",
        "label": None,
        "negative_prompt": "",
        "n": 2,
        "seed": 7,
        "width": 64,
        "height": 64,
        "sampler": {"type": "ddim", "steps": 3, "spacing": "trailing", "eta": 0.0},
        "guidance": {
            "preset": None,
            "combiner": {"type": "cfg"},
            "schedule": {"sigma_low": 0.0, "sigma_high": None, "type": "constant", "weight": 5.0},
            "condition": [],
            "perturbation": [],
            "correction": [],
            "energy": [],
            "travel": None,
            "reuse": None,
        },
        "source": None,
        "output": {"format": "png", "previews": 0, "embed": True},
        "diagnostics": "summary",
        "priority": "normal",
        "webhook": None,
        "metadata": {"project": "x"},
    }
    assert job == {
        "id": job["id"],
        "object": "generation",
        "status": "queued",
        "status_reason": None,
        "progress": {
            "step": 0,
            "steps": 3,
            "nfe_done": 0,
            "nfe_total": 12,
            "eta_seconds": None,
            "queue_position": 1,
        },
        "images": [],
        "diagnostics": {"url": f"{here}/diagnostics", "summary": None},
        "usage": {"nfe": 0, "queue_seconds": None, "run_seconds": None, "mean_batch_rows": None},
        "attempts": 0,
        "error": None,
        "webhook": None,
        "started_at": None,
        "finished_at": None,
        "expires_at": None,
        "links": {
            "self": here,
            "cancel": f"{here}/cancel",
            "events": f"{here}/events",
            "diagnostics": f"{here}/diagnostics",
        },
    }


def test_a_job_that_runs_has_an_estimate(client: TestClient, worker: StandIn) -> None:
    id = post(client)["id"]
    attempt = worker.start(id)
    assert client.get(f"/v1/generations/{id}").json()["progress"]["eta_seconds"] is None
    worker.step(id, attempt, 1)
    job = client.get(f"/v1/generations/{id}").json()
    assert (job["status"], job["attempts"]) == ("running", 1)
    assert job["progress"]["step"] == 1
    assert job["progress"]["eta_seconds"] >= 0
    assert job["progress"]["queue_position"] is None


def test_a_job_that_succeeded(client: TestClient, worker: StandIn) -> None:
    id = post(client)["id"]
    worker.run(id)
    job = client.get(f"/v1/generations/{id}").json()
    assert job["status"] == "succeeded"
    assert [(image["index"], image["seed"]) for image in job["images"]] == [(0, 7), (1, 8)]
    assert job["images"][1]["url"] == f"/v1/generations/{id}/images/1"
    assert job["usage"]["nfe"] == 12
    assert job["usage"]["queue_seconds"] >= 0
    assert job["usage"]["run_seconds"] >= 0
    assert job["diagnostics"]["summary"] == {"images": [{"cosine_mean": 0.5}]}
    assert job["created_at"] <= job["started_at"] <= job["finished_at"] < job["expires_at"]


def test_a_job_that_failed_says_why(client: TestClient, worker: StandIn) -> None:
    id = post(client)["id"]
    worker.fail(id, worker.start(id))
    job = client.get(f"/v1/generations/{id}").json()
    assert (job["status"], job["status_reason"]) == ("failed", "non_finite")
    assert job["error"]["type"] == "urn:guidepost:problem:non_finite"
    assert (job["error"]["code"], job["error"]["title"]) == ("non_finite", "Non finite")
    assert job["error"]["detail"] == "image 0 is not finite from step 1 on"
    assert job["error"]["instance"] == f"/v1/generations/{id}"
    assert job["error"]["retryable"] is False


def test_a_seed_is_drawn_and_returned(client: TestClient) -> None:
    assert 0 <= post(client, seed=None)["request"]["seed"] < 2**32


def test_a_label_model_takes_a_label(client: TestClient) -> None:
    response = client.post("/v1/generations", json={"model": "gaussians", "label": 1})
    assert response.json()["request"]["label"] == 1


def test_waiting_answers_200_when_it_has_ended(client: TestClient, worker: StandIn) -> None:
    with worker.at_work():
        response = client.post("/v1/generations", json=ASKED, headers={"Prefer": "wait=60"})
    assert response.status_code == 200
    assert response.headers["Preference-Applied"] == "wait=60"
    assert response.json()["status"] == "succeeded"
    assert len(response.json()["images"]) == 2


def test_waiting_answers_202_when_time_is_up(client: TestClient) -> None:
    response = client.post("/v1/generations", json=ASKED, headers={"Prefer": "wait=0"})
    assert (response.status_code, response.headers["Preference-Applied"]) == (202, "wait=0")
    response = client.post("/v1/generations", json=ASKED, headers={"Prefer": "wait=1"})
    assert (response.status_code, response.json()["status"]) == (202, "queued")


def test_a_list_has_pages_newest_first(client: TestClient) -> None:
    ids = [post(client)["id"] for _ in range(3)]
    first = client.get("/v1/generations", params={"limit": 2}).json()
    assert [job["id"] for job in first["data"]] == ids[:0:-1]
    assert first["has_more"] is True
    last = client.get("/v1/generations", params={"limit": 2, "after": first["next_cursor"]}).json()
    assert [job["id"] for job in last["data"]] == ids[:1]
    assert (last["has_more"], last["next_cursor"]) == (False, None)


def test_a_list_by_status(client: TestClient, worker: StandIn) -> None:
    waiting, done = post(client)["id"], post(client)["id"]
    worker.run(done)
    for status, ids in (("queued", [waiting]), ("succeeded", [done]), ("failed", [])):
        listed = client.get("/v1/generations", params={"status": status}).json()
        assert [job["id"] for job in listed["data"]] == ids


def test_cancel_ends_what_waits(client: TestClient) -> None:
    job = post(client)
    response = client.post(job["links"]["cancel"])
    assert response.status_code == 200
    assert (response.json()["status"], response.json()["status_reason"]) == ("canceled", "user")
    assert client.post(job["links"]["cancel"]).json() == response.json()


def test_cancel_asks_what_runs(client: TestClient, worker: StandIn, store: JobStore) -> None:
    id = post(client)["id"]
    attempt = worker.start(id)
    assert client.post(f"/v1/generations/{id}/cancel").json()["status"] == "running"
    assert (running := store.get(id)) and running.cancel_requested == "user"
    store.finish(id, attempt.token, Status.CANCELED, reason="user")
    assert client.post(f"/v1/generations/{id}/cancel").json()["status"] == "canceled"


@pytest.mark.parametrize("seed", [0, 2**32 - 2])
def test_seeds_keep_every_digit(client: TestClient, worker: StandIn, seed: int) -> None:
    id = post(client, seed=seed)["id"]
    worker.run(id)
    images = client.get(f"/v1/generations/{id}").json()["images"]
    assert [image["seed"] for image in images] == [seed, seed + 1]


def test_a_job_has_an_etag_until_something_happens(client: TestClient, worker: StandIn) -> None:
    path = post(client)["links"]["self"]
    response = client.get(path)
    same = client.get(path, headers={"If-None-Match": response.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    worker.start(response.json()["id"])
    assert client.get(path, headers={"If-None-Match": response.headers["ETag"]}).status_code == 200


def test_a_long_poll_answers_when_it_has_ended(client: TestClient, worker: StandIn) -> None:
    path = post(client)["links"]["self"]
    with worker.at_work():
        assert client.get(path, params={"wait": 60}).json()["status"] == "succeeded"
    assert client.get(path, params={"wait": 60}).json()["status"] == "succeeded"


def test_a_long_poll_with_an_etag_answers_as_soon_as_something_happens(client: TestClient, worker: StandIn) -> None:
    def begin(id: str) -> None:
        worker.start(id)

    path = post(client)["links"]["self"]
    known = {"If-None-Match": client.get(path).headers["ETag"]}
    with worker.at_work(begin):
        assert client.get(path, params={"wait": 60}, headers=known).json()["status"] == "running"


def test_a_long_poll_ends_with_its_time(client: TestClient) -> None:
    path = post(client)["links"]["self"]
    known = {"If-None-Match": client.get(path).headers["ETag"]}
    assert client.get(path, params={"wait": 1}).json()["status"] == "queued"
    assert client.get(path, params={"wait": 1}, headers=known).status_code == 304


def test_cancel_after_ends_it_in_time(client: TestClient) -> None:
    response = client.post("/v1/generations", json=ASKED, headers={"Cancel-After": "0.000001s"})
    told = client.get(response.headers["Location"], params={"wait": 60}).json()
    assert (told["status"], told["status_reason"]) == ("expired", "deadline")


@pytest.mark.parametrize("text", ["0s", "-1s", "soon", "1d", "169h", "1e3", ""])
def test_a_time_that_is_none_is_refused(client: TestClient, text: str) -> None:
    response = client.post("/v1/generations", json=ASKED, headers={"Cancel-After": text})
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert (error["pointer"], error["location"]) == ("/Cancel-After", "header")


def test_a_low_priority_waits_behind(client: TestClient) -> None:
    low, normal = post(client, priority="low"), post(client)
    assert client.get(low["links"]["self"]).json()["progress"]["queue_position"] == 1
    assert client.get(normal["links"]["self"]).json()["progress"]["queue_position"] == 0
