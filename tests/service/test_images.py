"""The bytes of images and their headers: as stored, in another format, kept by clients, and gone."""

from __future__ import annotations

import hashlib
import io

import PIL.Image
import pytest
from starlette.testclient import TestClient

from jobs import keys
from jobs.artifacts import prefix
from jobs.encoding import convert
from jobs.provenance import found
from jobs.record import Failure, Status
from jobs.store import JobStore
from tests.service.stand_in import StandIn, picture
from tests.service.test_generations import post
from tests.service.test_problems import problem

FORMATS = ("png", "webp", "jpeg")


def made(client: TestClient, worker: StandIn, format: str = "png") -> str:
    """The path of image 0, whose seed is 7."""
    id = post(client, output={"format": format})["id"]
    worker.run(id)
    return f"/v1/generations/{id}/images/0"


def test_what_is_left_of_a_generation_that_lost_an_image_can_be_fetched(
    client: TestClient, worker: StandIn, store: JobStore
) -> None:
    id = post(client, n=3)["id"]
    attempt = worker.start(id)
    images = [worker.keep(id, 1, index, 7 + index, "png") for index in (0, 2)]
    failure = Failure(code="non_finite", detail="image 1 (seed 8) became NaN or infinite at step 3")
    assert store.finish(id, attempt.token, Status.FAILED, reason="non_finite", images=images, error=failure)
    job = client.get(f"/v1/generations/{id}").json()
    assert (job["status"], job["error"]["code"]) == ("failed", "non_finite")
    assert "image 1 (seed 8)" in job["error"]["detail"] and "step 3" in job["error"]["detail"]
    assert [image["index"] for image in job["images"]] == [0, 2]
    for image in job["images"]:
        response = client.get(image["url"])
        assert (response.status_code, response.content) == (200, picture(image["seed"]))
    missing = problem(client.get(f"/v1/generations/{id}/images/1"), 404, "not_found")
    assert missing["detail"].endswith("has no image 1; it has 2")


def test_bytes_are_as_stored(client: TestClient, worker: StandIn) -> None:
    id = post(client)["id"]
    worker.run(id)
    response = client.get(f"/v1/generations/{id}/images/1")
    assert (response.status_code, response.content) == (200, picture(8))
    assert response.headers["Content-Type"] == "image/png"
    assert response.headers["X-Seed"] == "8"
    assert response.headers["ETag"] == f'"{hashlib.sha256(picture(8)).hexdigest()}"'
    assert response.headers["Cache-Control"] == "private, max-age=86400, immutable"
    assert response.headers["Vary"] == "Accept"


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("accept", [None, "*/*", "image/*", "application/octet-stream", "image/avif,image/*;q=0.8"])
def test_who_does_not_choose_gets_what_was_stored(
    client: TestClient, worker: StandIn, format: str, accept: str | None
) -> None:
    client.headers.pop("Accept")
    response = client.get(made(client, worker, format), headers={} if accept is None else {"Accept": accept})
    assert (response.content, response.headers["Content-Type"]) == (picture(7, format), f"image/{format}")


@pytest.mark.parametrize("stored", FORMATS)
@pytest.mark.parametrize("asked", FORMATS)
def test_any_format_is_made_of_any_other(client: TestClient, worker: StandIn, stored: str, asked: str) -> None:
    response = client.get(made(client, worker, stored), headers={"Accept": f"image/{asked}"})
    assert (response.status_code, response.headers["Content-Type"]) == (200, f"image/{asked}")
    assert response.headers["X-Seed"] == "7"
    assert response.content == (picture(7, stored) if asked == stored else convert(picture(7, stored), asked))
    with PIL.Image.open(io.BytesIO(response.content)) as image:
        assert (image.format, image.size, found(image)) == (asked.upper(), (64, 64), "seed 7")


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        ("image/webp;q=0.3, image/jpeg;q=0.4", "jpeg"),
        ("image/webp, image/*;q=0.9", "webp"),
        ("image/png;q=0, image/*", "webp"),  # of equals in the order of the document
        ("image/*;q=0.5, image/jpeg", "jpeg"),
        ("text/html, */*;q=0.1", "png"),
        ("image/avif, image/webp, */*", "png"),
    ],
)
def test_the_preferred_format_is_sent(client: TestClient, worker: StandIn, accept: str, format: str) -> None:
    response = client.get(made(client, worker), headers={"Accept": accept})
    assert response.headers["Content-Type"] == f"image/{format}"


@pytest.mark.parametrize("accept", ["image/avif", "text/html", "image/*;q=0"])
def test_what_is_not_made_is_refused(client: TestClient, worker: StandIn, accept: str) -> None:
    response = client.get(made(client, worker), headers={"Accept": accept})
    problem(response, 406, "not_acceptable")


def test_unchanged_bytes_are_not_sent_again(client: TestClient, worker: StandIn) -> None:
    path = made(client, worker)
    tags = {asked: client.get(path, headers={"Accept": f"image/{asked}"}).headers["ETag"] for asked in FORMATS}
    assert len(set(tags.values())) == 3
    for asked, tag in tags.items():
        for known, status in ((tag, 304), (f'"another", {tag}', 304), ("*", 304), ('"another"', 200)):
            response = client.get(path, headers={"Accept": f"image/{asked}", "If-None-Match": known})
            assert response.status_code == status
            assert response.headers["ETag"] == tag
            assert bool(response.content) == (status == 200)
    crossed = client.get(path, headers={"Accept": "image/webp", "If-None-Match": tags["png"]})
    assert crossed.status_code == 200


@pytest.mark.parametrize("asked", ["png", "webp"])
def test_head_answers_as_get_without_the_bytes(client: TestClient, worker: StandIn, asked: str) -> None:
    path, headers = made(client, worker), {"Accept": f"image/{asked}"}
    head, get = client.head(path, headers=headers), client.get(path, headers=headers)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Type", "Content-Length", "ETag", "X-Seed", "Vary"):
        assert head.headers[name] == get.headers[name]


def test_images_of_a_job_that_runs_conflict_with_its_state(client: TestClient) -> None:
    response = client.get(f"/v1/generations/{post(client)['id']}/images/0")
    assert (response.status_code, response.json()["code"], response.json()["retryable"]) == (409, "not_ready", True)


def test_images_beyond_the_last_are_not_found(client: TestClient, worker: StandIn) -> None:
    id = post(client)["id"]
    worker.run(id)
    for index in ("2", "-1", "first"):
        response = client.get(f"/v1/generations/{id}/images/{index}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")


PLACES = ("images/0", "diagnostics", "diagnostics/0/segments")


def test_bytes_that_were_removed_are_gone(client: TestClient, worker: StandIn) -> None:
    id = post(client, diagnostics="full")["id"]
    worker.run(id)
    worker.artifacts.delete(prefix(id))
    for place in PLACES:
        problem(client.get(f"/v1/generations/{id}/{place}"), 410, "expired")


def test_bytes_past_their_time_are_gone_even_where_they_still_lie(client: TestClient, worker: StandIn) -> None:
    job = post(client, diagnostics="full")
    worker.run(job["id"])
    paths = [f"{job['links']['self']}/{place}" for place in PLACES]
    tags = [client.get(path).headers.get("ETag", "*") for path in paths]
    worker.store.redis.hset(keys.generation(job["id"]), "expires_at", "1700000000.0")
    for path, tag in zip(paths, tags, strict=True):
        problem(client.get(path), 410, "expired")
        problem(client.get(path, headers={"If-None-Match": tag}), 410, "expired")
    assert client.get(job["links"]["self"]).json()["status"] == "succeeded"
    assert client.get(job["links"]["self"]).json()["expires_at"] == "2023-11-14T22:13:20Z"


def test_an_image_can_be_fetched_as_soon_as_its_event_tells_of_it(
    client: TestClient, worker: StandIn, store: JobStore
) -> None:
    id = post(client, n=2)["id"]
    attempt = worker.start(id)
    assert store.show(id, attempt.token, [worker.keep(id, attempt.number, 0, 7, "png")])
    assert client.get(f"/v1/generations/{id}/images/0").status_code == 200
    assert client.get(f"/v1/generations/{id}/images/1").status_code == 409
    assert client.get(f"/v1/generations/{id}").json()["images"][0]["url"] == f"/v1/generations/{id}/images/0"
