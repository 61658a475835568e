"""What is told of the time that requests will take, and refused for it."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
import redis
from starlette.testclient import TestClient

from jobs.cost import Pace
from jobs.presence import Presence, WorkerInfo
from jobs.record import Load
from jobs.settings import Settings
from jobs.store import JobStore
from service.app import create_app
from service.estimates import overall_rate, rate, until_end_of_running
from tests.jobs.requests import LABELS, TEXT
from tests.service.stand_in import StandIn
from tests.service.test_generations import ASKED, post
from tests.service.test_guidance import validate
from tests.service.test_problems import problem

PACE = Pace(model="shapes", pixels=4096, forward=0.25, row=0.125, image=0.5, most=8, shares=(("adaptive", 0.75),))
RATE = 8 / 1.25
SLOW = PACE.model_copy(update={"forward": 0.5, "row": 0.25})
OTHER = PACE.model_copy(update={"model": "gaussians", "forward": 2.5, "row": 1.25})


def show(store: JobStore, *paces: Pace, left: int = 0, name: str = "worker") -> None:
    Presence(store.redis, name, ttl=600).renew(
        [TEXT, LABELS], {"concurrency": 4, "evaluations_left": left}, paces=paces
    )


@pytest.fixture
def paced(settings: Settings, store: JobStore) -> Any:
    """A gateway with one worker, which has shown its pace and has 12 evaluations to come of what it runs."""
    show(store, PACE, left=12)
    with TestClient(create_app(settings)) as client:
        yield client


def eta(client: TestClient, id: str) -> Any:
    return client.get(f"/v1/generations/{id}").json()["progress"]["eta_seconds"]


def test_validation_predicts_what_one_image_takes_alone(paced: TestClient) -> None:
    answer = validate(paced, sampler={"type": "ddim", "steps": 10})
    assert (answer["nfe"], answer["nfe_is_bound"]) == (20, False)
    assert answer["predicted"] == {"nfe": 20, "seconds": 10 * (0.25 + 2 * 0.125) + 0.5}


@pytest.mark.parametrize(
    ("guidance", "nfe"),
    [({"reuse": {"type": "adaptive"}}, 15), ({"combiner": {"type": "characteristic", "max_iterations": 2}}, None)],
)
def test_what_a_method_decides_on_the_way_is_bound_by_the_plan_and_expected_from_those_before(
    paced: TestClient, guidance: dict[str, Any], nfe: int | None
) -> None:
    answer = validate(paced, sampler={"type": "ddim", "steps": 10}, guidance=guidance)
    assert answer["nfe_is_bound"]
    assert answer["predicted"]["nfe"] == (nfe or answer["nfe"])  # nothing is known of the second
    assert validate(paced)["nfe_is_bound"] is False


def test_no_seconds_are_predicted_of_a_model_that_no_worker_has_run(client: TestClient, store: JobStore) -> None:
    show(store, OTHER)
    assert validate(client)["predicted"] == {"nfe": 60, "seconds": None}
    assert eta(client, post(client)["id"]) is None


def test_what_waits_has_an_estimate_from_the_line_and_from_what_runs(paced: TestClient) -> None:
    first, second = post(paced), post(paced, n=4)  # 12 and 24 evaluations
    assert first["progress"]["eta_seconds"] == eta(paced, first["id"]) == (12 + 12) / RATE  # what runs, then itself
    assert second["progress"]["queue_position"] == 1
    in_turn, shared = 12 + 12 + 24, 12 + 12 / 4 + 24 * 4
    assert second["progress"]["eta_seconds"] == pytest.approx((in_turn + shared) / 2 / RATE, abs=0.001)
    page = paced.get("/v1/generations").json()["data"]
    assert [job["progress"]["eta_seconds"] for job in page] == [eta(paced, second["id"]), eta(paced, first["id"])]


def test_what_waits_never_takes_less_than_alone(paced: TestClient) -> None:
    job = post(paced, n=1, sampler={"type": "ddim", "steps": 50})
    assert job["progress"]["eta_seconds"] == 50 * (0.25 + 2 * 0.125) + 0.5  # of which full batches take 18


def test_what_runs_ends_when_its_worker_says(client: TestClient, worker: StandIn, store: JobStore) -> None:
    id = post(client)["id"]
    attempt = worker.start(id)
    told = {"step": 1, "steps": 3, "nfe_done": 4, "nfe_total": 12}
    assert store.progress(id, attempt.token, **told, seconds_left=(5.0, 9.0))
    record = store.get(id)
    assert record is not None and record.told_at is not None
    now = record.told_at + timedelta(seconds=2)
    assert until_end_of_running(record, Load(0, 0), now) == 3
    assert until_end_of_running(record, Load(1, 12), now) == 7  # somebody waits to take the place of what ends
    assert until_end_of_running(record, Load(0, 0), now + timedelta(seconds=9)) == 0
    assert 4 < eta(client, id) <= 5
    worker.succeed(id, attempt)
    assert eta(client, id) is None


def test_what_the_worker_of_an_attempt_before_told_is_not_believed(
    client: TestClient, worker: StandIn, store: JobStore
) -> None:
    id = post(client)["id"]
    attempt = worker.start(id)
    store.progress(id, attempt.token, step=1, steps=3, nfe_done=4, nfe_total=12, seconds_left=(5.0, 9.0))
    store.hand_back(id, attempt.token)
    worker.start(id)
    assert eta(client, id) is None


def test_workers_add_up_and_one_that_is_new_counts_as_the_mean_of_the_others() -> None:
    def a_worker(*paces: Pace, models: Any = (TEXT, LABELS)) -> WorkerInfo:
        return WorkerInfo(id="", models=models, paces=paces)

    fast, slow, new = a_worker(PACE, OTHER), a_worker(OTHER, SLOW), a_worker()
    assert rate([fast, slow, new], "shapes", 4096) == (RATE + RATE / 2) * 3 / 2
    assert rate([fast, a_worker(models=(LABELS,))], "shapes", 4096) == RATE
    assert overall_rate([fast, slow]) == RATE + RATE / 10  # each at what it ran last
    assert rate([new], "shapes", 4096) == overall_rate([new]) == overall_rate([]) == 0


def test_503_when_what_waits_would_take_longer_than_it_may(settings: Settings, store: JobStore) -> None:
    show(store, PACE)
    bounded = settings.model_copy(update={"max_queue_seconds": 5.0})  # 32 evaluations
    with TestClient(create_app(bounded)) as client:
        post(client), post(client)
        response = client.post("/v1/generations", json=ASKED)
        assert problem(response, 503, "queue_full")["detail"] == (
            "24 network evaluations wait, and 32 may; this request needs 12: more than 5 s of work, as predicted"
        )
        assert int(response.headers["Retry-After"]) == math.ceil((24 + 12 - 32) / RATE)
        post(client, n=1)


def test_the_seconds_that_may_wait_bound_nothing_while_no_pace_is_known(settings: Settings, store: JobStore) -> None:
    show(store)
    with TestClient(create_app(settings.model_copy(update={"max_queue_seconds": 0.001}))) as client:
        for _ in range(3):
            post(client)


def test_a_poll_asks_redis_no_more_than_it_did(paced: TestClient, connection: redis.Redis) -> None:
    id = post(paced)["id"]
    eta(paced, id)
    before = calls(connection)
    eta(paced, id)
    asked = {
        name: count - before.get(name, 0) for name, count in calls(connection).items() if count != before.get(name)
    }
    assert asked.pop("info") == 1
    assert asked == {"evalsha": 1, "hgetall": 1, "hmget": 2, "zrank": 1}  # by one script


def calls(connection: redis.Redis) -> dict[str, int]:
    stats: Any = connection.info("commandstats")
    return {name.removeprefix("cmdstat_"): of["calls"] for name, of in stats.items()}
