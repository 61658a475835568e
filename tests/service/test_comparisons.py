"""Comparisons over HTTP: post, wait, read, list, cancel; and what is refused, and where."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import Response
from starlette.testclient import TestClient

from jobs.api_keys import ApiKeyStore
from jobs.presence import Presence
from jobs.record import Load, Status
from jobs.settings import Settings
from jobs.store import JobStore
from service.app import create_app
from tests.jobs.requests import TEXT
from tests.service.stand_in import StandIn
from tests.service.test_access import bearer
from tests.service.test_problems import errors, problem

HERE = "/v1/comparisons"
BASE: dict[str, Any] = {"prompt": "a red circle", "seed": 7, "sampler": {"type": "ddim", "steps": 2}}
APG = {"combiner": {"type": "apg"}}
GRID = {"/guidance/combiner/type": ["cfg", "apg"], "/guidance/schedule/weight": [1, 3, 7.5]}


def weights(*values: float) -> list[dict[str, Any]]:
    return [{"guidance": {"schedule": {"type": "constant", "weight": weight}}} for weight in values]


ASKED = BASE | {"specs": weights(1, 5)}


def compare(client: TestClient, **fields: Any) -> dict[str, Any]:
    response = client.post(HERE, json=ASKED | fields)
    assert response.status_code == 202, response.text
    found: dict[str, Any] = response.json()
    return found


def run(worker: StandIn, comparison: dict[str, Any]) -> None:
    for generation in comparison["generations"]:
        worker.run(generation["id"])


def statuses(client: TestClient, comparison: dict[str, Any]) -> tuple[str, list[str]]:
    found = client.get(comparison["links"]["self"]).json()
    return found["status"], [generation["status"] for generation in found["generations"]]


def test_a_post_is_accepted_and_found(client: TestClient) -> None:
    response = client.post(HERE, json=ASKED)
    comparison = response.json()
    assert response.status_code == 202
    assert response.headers["Location"] == comparison["links"]["self"] == f"{HERE}/{comparison['id']}"
    assert client.get(response.headers["Location"]).json() == comparison
    assert comparison["status"] == "queued"
    assert comparison["progress"] == {"ended": 0, "generations": 2, "nfe_done": 0, "nfe_total": 6}
    assert [generation["label"] for generation in comparison["generations"]] == ["weight=1", "weight=5"]
    assert comparison["axes"] == []


def test_its_generations_are_ordinary_ones_that_share_all_but_the_spec(client: TestClient) -> None:
    comparison = compare(client, n=2, seed=None, metadata={"a": "b"}, negative_prompt="blurred", priority="low")
    jobs = [client.get(generation["links"]["self"]).json() for generation in comparison["generations"]]
    requests = [job["request"] for job in jobs]
    assert [request["guidance"].pop("schedule")["weight"] for request in requests] == [1, 5]
    assert requests[0] == requests[1]
    assert requests[0]["seed"] == comparison["request"]["seed"]
    assert requests[0]["diagnostics"] == "full"
    assert (requests[0]["n"], requests[0]["negative_prompt"], requests[0]["priority"]) == (2, "blurred", "low")


def test_a_grid_is_every_combination(client: TestClient) -> None:
    comparison = compare(client, specs=None, grid=GRID)
    assert [generation["label"] for generation in comparison["generations"]] == [
        f"combiner={combiner}, weight={weight}" for combiner in ("cfg", "apg") for weight in (1, 3, 7.5)
    ]
    assert [generation["guidance"]["schedule"]["weight"] for generation in comparison["generations"]] == [1, 3, 7.5] * 2
    assert comparison["axes"] == [
        {"pointer": "/guidance/combiner/type", "name": "combiner", "values": ["cfg", "apg"]},
        {"pointer": "/guidance/schedule/weight", "name": "weight", "values": ["1", "3", "7.5"]},
    ]


def test_labels_that_are_given_are_kept_and_never_the_same(client: TestClient) -> None:
    specs = [{"label": "mine"}, {"label": "mine", "guidance": APG}, {"guidance": APG, "negative_prompt": "blurred"}]
    comparison = compare(client, specs=specs)
    labels = [generation["label"] for generation in comparison["generations"]]
    assert labels == ["mine", "mine (2)", "combiner=apg, negative_prompt=blurred"]


def test_it_ends_when_all_have_ended(client: TestClient, worker: StandIn) -> None:
    comparison = compare(client)
    first, second = (generation["id"] for generation in comparison["generations"])
    worker.run(first)
    found = client.get(comparison["links"]["self"]).json()
    assert (found["status"], found["progress"]["ended"], found["finished_at"]) == ("running", 1, None)
    assert found["generations"][0]["images"][0]["url"] == f"/v1/generations/{first}/images/0"
    worker.fail(second, worker.start(second))
    found = client.get(comparison["links"]["self"]).json()
    assert (found["status"], found["progress"]["ended"]) == ("partial", 2)
    assert found["finished_at"] and found["expires_at"]
    assert found["generations"][1]["error"]["code"] == "non_finite"


def test_who_prefers_to_wait_gets_the_end(client: TestClient, worker: StandIn) -> None:
    with worker.at_work():
        response = client.post(HERE, json=ASKED, headers={"Prefer": "wait=30"})
        assert (response.status_code, response.headers["Preference-Applied"]) == (200, "wait=30")
        assert response.json()["status"] == "succeeded"
        comparison = compare(client)
        assert client.get(f"{comparison['links']['self']}?wait=30").json()["status"] == "succeeded"


def test_a_poll_with_an_etag_is_answered_when_something_happened(client: TestClient, worker: StandIn) -> None:
    comparison = compare(client)
    here, ids = comparison["links"]["self"], [generation["id"] for generation in comparison["generations"]]
    tag = client.get(here).headers["ETag"]
    assert client.get(here, headers={"If-None-Match": tag}).status_code == 304
    with worker.at_work(lambda id: worker.run(ids[1])):  # woken at once: what is in the queue rings
        response = client.get(f"{here}?wait=30", headers={"If-None-Match": tag})
    assert (response.status_code, response.json()["status"]) == (200, "running")
    assert response.headers["ETag"] != tag


def test_cancel_ends_what_has_not_ended(client: TestClient, worker: StandIn) -> None:
    comparison = compare(client, specs=weights(1, 2, 3))
    worker.run(comparison["generations"][0]["id"])
    for _ in range(2):
        response = client.post(comparison["links"]["cancel"])
        assert (response.status_code, response.json()["status"]) == (200, "partial")
    assert statuses(client, comparison) == ("partial", ["succeeded", "canceled", "canceled"])


def test_a_deadline_holds_for_all(client: TestClient, store: JobStore) -> None:
    comparison = client.post(HERE, json=ASKED, headers={"Cancel-After": "0.000001s"}).json()
    for generation in comparison["generations"]:
        store.expire(generation["id"])
    assert statuses(client, comparison) == ("expired", ["expired", "expired"])


def test_the_same_key_and_body_give_the_same_comparison(client: TestClient, store: JobStore) -> None:
    key = {"Idempotency-Key": "4f2c"}
    first, second = (client.post(HERE, json=ASKED, headers=key) for _ in range(2))
    assert (second.status_code, second.headers["Idempotent-Replayed"]) == (202, "true")
    assert first.json() == second.json()
    assert store.counts()[Status.QUEUED] == 2
    problem(client.post(HERE, json=ASKED | {"seed": 8}, headers=key), 422, "idempotency_key_reused")
    problem(client.post("/v1/generations", json=BASE, headers=key), 422, "idempotency_key_reused")


def test_lists_are_newest_first(client: TestClient) -> None:
    made = [compare(client)["id"] for _ in range(3)]
    first = client.get(f"{HERE}?limit=2").json()
    second = client.get(f"{HERE}?limit=2&after={first['next_cursor']}").json()
    assert [comparison["id"] for comparison in (*first["data"], *second["data"])] == made[::-1]
    assert (first["has_more"], second["has_more"], second["next_cursor"]) == (True, False, None)
    problem(client.get(f"{HERE}?after=x"), 422, "invalid_request")


def test_other_tenants_see_nothing_of_it(app: FastAPI, store: JobStore, api_keys: ApiKeyStore) -> None:
    Presence(store.redis, "worker", ttl=600).renew([TEXT])
    mine, other = (TestClient(app, headers=bearer(api_keys.create()[1])) for _ in range(2))
    here = compare(mine)["links"]["self"]
    assert mine.get(here).status_code == 200
    for path in (here, f"{here}/image", f"{here}/diagnostics"):
        problem(other.get(path), 404, "not_found")
    problem(other.post(f"{here}/cancel"), 404, "not_found")
    assert other.get(HERE).json()["data"] == []
    assert len(mine.get(HERE).json()["data"]) == 1


BAD = {"combiner": {"type": "apg", "eta": "x"}}


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"specs": [*weights(1, 2, 3), {"guidance": BAD}]}, "/specs/3/guidance/combiner/eta", "float_type"),
        ({"specs": [{"sampler": {"type": "ddim", "steps": 0}}]}, "/specs/0/sampler/steps", "greater_than_equal"),
        ({"specs": [{"guidance": {"combinr": {}}}]}, "/specs/0/guidance/combinr", "extra_forbidden"),
        ({"specs": [{"lable": "x"}]}, "/specs/0/lable", "extra_forbidden"),
        ({"specs": None, "grid": GRID | {"/sampler/steps": [0]}}, "/grid/~1sampler~1steps/0", "greater_than_equal"),
        (
            {"specs": None, "grid": {"/guidance/schedule/weight": [1, 3, "x"]}},
            "/grid/~1guidance~1schedule~1weight/2",
            "float_type",
        ),
        (
            {"specs": None, "grid": {"/guidance/combiner/type": ["cfg", "apgg"]}},
            "/grid/~1guidance~1combiner~1type/1",
            "union_tag_invalid",
        ),
        ({"n": 17}, "/n", "less_than_equal"),
        ({"seed": -1}, "/seed", "greater_than_equal"),
        ({"specs": []}, "/specs", "too_short"),
    ],
)
def test_422_leads_into_the_clients_own_body(
    client: TestClient, store: JobStore, fields: dict[str, Any], pointer: str, code: str
) -> None:
    [(found, kind, _)] = errors(client, ASKED | fields, HERE)
    assert (found, kind) == (pointer, code)
    assert store.load() == Load(0, 0)


def test_what_is_wrong_with_every_spec_is_said_once(client: TestClient) -> None:
    [(pointer, _, _)] = errors(client, ASKED | {"guidance": BAD, "specs": [{}] * 5}, HERE)
    assert pointer == "/guidance/combiner/eta"
    [(pointer, _, _)] = errors(client, ASKED | {"model": "none"}, HERE, code="unsupported")
    assert pointer == "/model"


def test_a_contradiction_names_the_values_that_make_it(client: TestClient, store: JobStore) -> None:
    grid = {"/guidance/combiner/type": ["cfg", "base_norm"], "/guidance/schedule/weight": [1]}
    guidance = {"correction": [{"type": "rescale", "phi": 0.5}]}
    [(pointer, _, detail)] = errors(client, BASE | {"guidance": guidance, "grid": grid}, HERE)
    assert pointer == "/grid/~1guidance~1combiner~1type/1"
    assert detail.startswith("with combiner=base_norm") and "both set the length" in detail
    assert store.load() == Load(0, 0)


def test_what_one_spec_asks_of_a_model_is_refused_for_all(client: TestClient, store: JobStore) -> None:
    cads = {"condition": [{"type": "cads"}]}
    body = {"model": "gaussians", "label": 1, "specs": [{}, {"guidance": cads}]}
    [(pointer, _, _)] = errors(client, body, HERE, code="unsupported")
    assert pointer.startswith("/specs/1/guidance/condition/0")
    assert store.load() == Load(0, 0)


def test_503_when_not_all_fit_in_the_queue(settings: Settings, store: JobStore) -> None:
    Presence(store.redis, "worker", ttl=600).renew([TEXT])
    with TestClient(create_app(settings.model_copy(update={"max_queue": 20}))) as client:
        response: Response = client.post(HERE, json=BASE | {"specs": weights(*range(32))})
        problem(response, 503, "queue_full")
        assert int(response.headers["Retry-After"]) > 0
        assert store.load() == Load(0, 0)
        compare(client, specs=weights(*range(20)))
        assert store.load().generations == 20
