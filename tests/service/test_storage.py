"""Images in an object store: sent through the gateway or by a link, and a store that cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from jobs.artifacts import ArtifactStore
from jobs.encoding import convert
from jobs.presence import Presence
from jobs.settings import Settings
from jobs.store import JobStore
from service.app import create_app
from tests.jobs.requests import TEXT
from tests.s3 import free_port, make_bucket
from tests.service.stand_in import StandIn, picture, sheet
from tests.service.test_generations import post
from tests.service.test_problems import problem

URL = "s3://bucket/some/where"
Begin = Callable[..., tuple[TestClient, dict[str, Any]]]


@pytest.fixture
def begin(s3: int, store: JobStore, settings: Settings) -> Iterator[Begin]:
    """Starts a gateway on the object store, with a generation that is done."""
    make_bucket(s3, "bucket")
    Presence(store.redis, "worker", ttl=600).renew([TEXT])
    with ExitStack() as ends:

        def begun(**changed: Any) -> tuple[TestClient, dict[str, Any]]:
            ours = Settings(**settings.model_dump() | {"artifacts_url": URL} | changed)
            client = ends.enter_context(TestClient(create_app(ours), follow_redirects=False))
            job = post(client, diagnostics="full")
            StandIn(store, ArtifactStore(URL)).run(job["id"])
            return client, job

        yield begun


def places(job: dict[str, Any]) -> tuple[str, str, str]:
    """The paths of an image, of the diagnostics and of a picture of them."""
    here = job["links"]["self"]
    return f"{here}/images/0", f"{here}/diagnostics", f"{here}/diagnostics/0/segments"


def test_bytes_go_through_the_gateway(begin: Begin) -> None:
    client, job = begin()
    image, diagnostics, segments = places(job)
    assert client.get(image).content == picture(7)
    assert client.get(image, headers={"Accept": "image/webp"}).content == convert(picture(7), "webp")
    assert len(client.get(diagnostics).json()["images"]) == 2
    assert client.get(segments).content == sheet(0)


def test_who_asks_is_sent_to_the_store_where_that_is_wanted(begin: Begin) -> None:
    client, job = begin(artifacts_redirect=True)
    image, _, segments = places(job)
    sent = client.get(image)
    assert (sent.status_code, sent.content) == (307, b"")
    assert (sent.headers["X-Seed"], sent.headers["Cache-Control"]) == ("7", "no-store")
    there = httpx.get(sent.headers["Location"], trust_env=False)
    assert (there.status_code, there.content, there.headers["Content-Type"]) == (200, picture(7), "image/png")
    head = client.head(image)
    assert head.status_code == 307
    assert httpx.head(head.headers["Location"], trust_env=False).headers["Content-Length"] == str(len(picture(7)))
    assert client.get(image, headers={"If-None-Match": sent.headers["ETag"]}).status_code == 304
    made = client.get(image, headers={"Accept": "image/jpeg"})
    assert (made.status_code, made.content) == (200, convert(picture(7), "jpeg"))
    assert client.get(segments).status_code == 200


def test_a_folder_is_never_redirected_to(begin: Begin, settings: Settings, store: JobStore) -> None:
    client, job = begin(artifacts_redirect=True, artifacts_url=None)
    StandIn(store, ArtifactStore(settings.artifacts)).keep(job["id"], 1, 0, 7, "png")
    assert client.get(places(job)[0]).content == picture(7)


def test_a_bucket_that_is_not_there_is_told_from_an_image_that_is_not(begin: Begin) -> None:
    client, job = begin(artifacts_url="s3://nowhere")
    for path in places(job):
        answer = client.get(path)
        problem(answer, 503, "storage_away")
        assert int(answer.headers["Retry-After"]) > 0
        assert "nowhere" not in answer.text  # where we keep things is not for clients


def test_a_store_that_is_away_is_a_503_and_the_record_is_answered(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, job = begin()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    client.app.state.gateway.artifacts = ArtifactStore(URL, patience=0.01)  # type: ignore[attr-defined]
    for path in places(job):
        problem(client.get(path), 503, "storage_away")
    assert client.get(job["links"]["self"]).json()["status"] == "succeeded"
