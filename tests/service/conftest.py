"""The gateway over a real Redis, with a stand-in for the workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest
import redis
from fastapi import FastAPI
from starlette.testclient import TestClient

from jobs.api_keys import ApiKeyStore
from jobs.artifacts import ArtifactStore
from jobs.presence import Presence
from jobs.settings import Settings
from jobs.signing import SigningSecrets
from jobs.store import JobStore
from service.app import create_app
from service.deliverer import Deliverer
from tests.jobs.requests import LABELS, TEXT
from tests.service.receiver import Receiver, receiving
from tests.service.server import serving
from tests.service.stand_in import StandIn

if TYPE_CHECKING:
    import openai


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture
def client(app: FastAPI, store: JobStore) -> Iterator[TestClient]:
    """A client of a gateway with one worker up, which serves a text model and a label model."""
    Presence(store.redis, "worker", ttl=600).renew([TEXT, LABELS])
    with TestClient(app) as client:
        yield client


@pytest.fixture
def api_keys(app: FastAPI, connection: redis.Redis) -> ApiKeyStore:
    """The keys of a gateway that looks them up at each request."""
    app.state.gateway.keys.keep = 0.0
    return ApiKeyStore(connection)


@pytest.fixture
def worker(store: JobStore, settings: Settings) -> StandIn:
    return StandIn(store, ArtifactStore(settings.artifacts))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def deliverer(store: JobStore, settings: Settings) -> Deliverer:
    """One that may post to this machine and whose threads are not started: tests call `deliver`."""
    return Deliverer(settings.model_copy(update={"webhook_allow": "127.0.0.1"}))


@pytest.fixture
def secret(store: JobStore) -> str:
    """What signs the webhooks of a service that is open to all."""
    return SigningSecrets(store.redis).current()


@pytest.fixture
def url(app: FastAPI, store: JobStore) -> Iterator[str]:
    """The same gateway and worker behind a real server."""
    Presence(store.redis, "worker", ttl=600).renew([TEXT, LABELS])
    with serving(app) as base:
        yield base


@pytest.fixture
def raw(url: str) -> Iterator[httpx.Client]:
    """A client that shows the answers of that server as they are."""
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture
def openai_client(url: str) -> Iterator[openai.OpenAI]:
    """OpenAI's own, as it is, but for its repetitions."""
    import openai  # takes a second

    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client
