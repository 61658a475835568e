"""Each client, generated once; a whole service, and one of the future."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from service.app import create_app
from tests.cli.conftest import Up, started
from tests.clients.future import Service, serving
from tests.clients.workshop import CLIENTS, Workshop, furnish


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return furnish(tmp_path_factory.mktemp("clients"), json.dumps(create_app().openapi()))


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with started(tmp_path_factory.mktemp("up")) as running:
        yield running


@pytest.fixture(scope="session")
def job(up: Up) -> str:
    """The id of a generation that has succeeded, with everything there is to read of one."""
    sampler = {"type": "ddim", "steps": 4}
    body = {"prompt": "a circle", "seed": 1, "sampler": sampler, "output": {"previews": 1}, "diagnostics": "full"}
    answer = httpx.post(f"{up.url}/v1/generations", headers={"Prefer": "wait=60"}, json=body, timeout=90)
    assert answer.json()["status"] == "succeeded", answer.text
    return str(answer.json()["id"])


@pytest.fixture(scope="session")
def future(up: Up, job: str) -> Iterator[Service]:
    with serving(f"{up.url}/v1/generations/{job}") as service:
        yield service


@pytest.fixture(params=list(CLIENTS))
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)
