"""The gateway over a real Redis, with a stand-in for the workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from fastapi import FastAPI
from starlette.testclient import TestClient

from jobs.api_keys import ApiKeyStore
from jobs.artifacts import ArtifactStore
from jobs.presence import Presence
from jobs.settings import Settings
from jobs.store import JobStore
from service.app import create_app
from tests.jobs.requests import LABELS, TEXT
from tests.service.stand_in import StandIn


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
