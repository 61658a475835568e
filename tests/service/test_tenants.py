"""Two keys: nothing of one is visible to the other, on any route that there is.

The routes come from the OpenAPI document, so that one added later is covered: it fails here by name until the tables
below say how to ask it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from httpx2 import Response
from starlette.testclient import TestClient

from jobs import keys
from jobs.api_keys import ApiKeyStore
from jobs.settings import Settings
from service.app import create_app
from service.openapi import document
from tests.service.stand_in import StandIn
from tests.service.test_access import bearer
from tests.service.test_comparisons import ASKED as COMPARED
from tests.service.test_generations import ASKED

UNKNOWN = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Caller:
    """Who has a key, and a worker that runs what it asks for."""

    client: TestClient
    headers: dict[str, str]

    def ask(self, method: str, path: str, body: Any = None) -> Response:
        return self.client.request(method, path, headers=self.headers, json=body)

    def generation(self) -> str:
        """The id of one that succeeded, with images, full diagnostics and their pictures."""
        headers = self.headers | {"Prefer": "wait=30"}
        job = self.client.post("/v1/generations", json=ASKED | {"diagnostics": "full"}, headers=headers).json()
        assert job["status"] == "succeeded"
        id: str = job["id"]
        return id

    def comparison(self) -> str:
        headers = self.headers | {"Prefer": "wait=30"}
        comparison = self.client.post(
            "/v1/comparisons", json=COMPARED | {"diagnostics": "full"}, headers=headers
        ).json()
        assert comparison["status"] == "succeeded"
        id: str = comparison["id"]
        return id


RESOURCES: dict[str, Callable[[Caller], str]] = {
    "/v1/generations/{id}": Caller.generation,
    "/v1/comparisons/{id}": Caller.comparison,
}
"""How to make what a path begins with; answers its id."""
PARAMETERS = {"index": "0", "name": "segments"}
"""Other parameters of paths, as those resources have them."""
BODIES: dict[str, Any] = {
    "createComparison": COMPARED,
    "createGeneration": ASKED,
    "createImage": {"prompt": "a red circle", "seed": 7},
    "validateGuidance": {"guidance": {}},
}
"""Of each operation that takes one."""
TENANTLESS = {"/livez", "/readyz", "/metrics"}
"""Paths that know no tenants: of the health of the service as a whole."""
QUEUES_NOTHING = {"validateGuidance"}
"""Operations that take a body and make nothing: no quota counts them."""


@dataclass(frozen=True)
class Operation:
    name: str
    method: str
    path: str
    scope: str
    takes_a_body: bool

    def body(self) -> Any:
        if self.takes_a_body and self.name not in BODIES:
            pytest.fail(f"{self.name}: give it a body in BODIES")
        return BODIES.get(self.name)

    def maker(self) -> Callable[[Caller], str] | None:
        """Of the resource that its path is about; None when it has no parameters."""
        if "{" not in self.path:
            return None
        made = [make for prefix, make in RESOURCES.items() if f"{self.path}/".startswith(f"{prefix}/")]
        if not made:
            pytest.fail(f"{self.name}: say in RESOURCES how to make what {self.path} is about")
        return made[0]

    def filled(self, id: str) -> str:
        """The path with every parameter in place; the first is the id."""
        path = re.sub(r"\{\w+\}", id, self.path, count=1)
        if missing := [name for name in re.findall(r"\{(\w+)\}", path) if name not in PARAMETERS]:
            pytest.fail(f"{self.name}: say in PARAMETERS what {', '.join(missing)} may be")
        return re.sub(r"\{(\w+)\}", lambda found: PARAMETERS[found[1]], path)


def operations() -> Iterator[Operation]:
    for path, methods in document(create_app(Settings()))["paths"].items():
        for method, one in methods.items():
            if path not in TENANTLESS:
                scope = one["security"][0]["apiKey"][0] if "security" in one else ""
                yield Operation(one["operationId"], method.upper(), path, scope, "requestBody" in one)


OPERATIONS = {operation.name: operation for operation in operations()}
MAKERS = [name for name, one in OPERATIONS.items() if one.takes_a_body and name not in QUEUES_NOTHING]


@pytest.fixture
def operation(request: pytest.FixtureRequest) -> Operation:
    return OPERATIONS[request.param]


@pytest.fixture
def working(worker: StandIn) -> Iterator[None]:
    with worker.at_work():
        yield


@pytest.fixture
def mine(client: TestClient, api_keys: ApiKeyStore, working: None) -> Caller:
    return Caller(client, bearer(api_keys.create("mine")[1]))


@pytest.fixture
def theirs(client: TestClient, api_keys: ApiKeyStore) -> Caller:
    return Caller(client, bearer(api_keys.create("theirs")[1]))


def told(response: Response, id: str) -> str:
    """The text of an answer without what every request has of its own."""
    request_id = response.headers["X-Request-Id"]
    return response.text.replace(request_id, "REQUEST").replace(id, "ID")


@pytest.mark.parametrize("operation", OPERATIONS, indirect=True)
def test_nothing_of_one_is_visible_to_the_other(operation: Operation, mine: Caller, theirs: Caller) -> None:
    make, body = operation.maker(), operation.body()
    id = (make or Caller.generation)(mine)
    method, path, unknown = operation.method, operation.filled(id), operation.filled(UNKNOWN)
    nobody = Caller(mine.client, {}).ask(method, path, body)
    assert (nobody.status_code, id in nobody.text.replace(path, "")) == (401, False), nobody.text
    other = theirs.ask(method, path, body)
    if make:
        assert other.status_code == 404, other.text
        assert told(other, id) == told(theirs.ask(method, unknown, body), UNKNOWN)
        assert theirs.ask("HEAD", path).status_code in (404, 405)
    else:
        assert other.is_success, other.text
        assert id not in other.text and id not in str(other.headers)
    assert mine.ask(method, path, body).is_success


@pytest.mark.parametrize("operation", OPERATIONS, indirect=True)
def test_every_route_asks_for_its_scope(
    operation: Operation, client: TestClient, api_keys: ApiKeyStore, connection: redis.Redis
) -> None:
    reads = operation.method == "GET" or operation.name in QUEUES_NOTHING
    needed, other = ("read", "write") if reads else ("write", "read")
    assert operation.scope == needed
    caller = Caller(client, bearer(api_keys.create(scopes=[other, "metrics"])[1]))
    response = caller.ask(operation.method, operation.filled(UNKNOWN), operation.body())
    assert response.status_code == 403, response.text
    assert f'scope="{needed}"' in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize("operation", MAKERS, indirect=True)
def test_whatever_is_queued_is_within_the_bounds_of_the_key(
    operation: Operation, client: TestClient, api_keys: ApiKeyStore, connection: redis.Redis
) -> None:
    spent, _ = api_keys.create(quota=10**9)
    connection.set(keys.quota(spent.tenant), 10**9)
    busy, token = api_keys.create(max_active=2)
    for _ in range(2):
        assert Caller(client, bearer(token)).ask("POST", "/v1/generations", ASKED).status_code == 202
    for key, code in ((spent, "quota_exceeded"), (busy, "too_many_active")):
        again = api_keys.create(tenant=key.tenant, quota=key.quota, max_active=key.max_active)[1]
        response = Caller(client, bearer(again)).ask(operation.method, operation.path, operation.body())
        assert (response.status_code, code in response.text) == (429, True), response.text
        assert int(response.headers["Retry-After"]) > 0


def test_a_list_has_the_work_of_ones_own_tenant_alone(mine: Caller, theirs: Caller, api_keys: ApiKeyStore) -> None:
    id = mine.generation()
    their_id = theirs.generation()
    for path in ("/v1/generations", "/v1/generations?status=succeeded"):
        assert [job["id"] for job in mine.ask("GET", path).json()["data"]] == [id]
        assert [job["id"] for job in theirs.ask("GET", path).json()["data"]] == [their_id]
    cursor = f"/v1/generations?after={their_id}"
    assert [job["id"] for job in mine.ask("GET", cursor).json()["data"]] == [id]  # the cursor is a place in time


def test_a_key_that_replaces_another_sees_its_work(client: TestClient, mine: Caller, api_keys: ApiKeyStore) -> None:
    id = mine.generation()
    [old] = [key for key in api_keys.all() if key.name == "mine"]
    new = Caller(client, bearer(api_keys.create(tenant=old.tenant)[1]))
    api_keys.revoke(old.id)
    assert new.ask("GET", f"/v1/generations/{id}/images/0").status_code == 200
    assert mine.ask("GET", f"/v1/generations/{id}").status_code == 401


def test_an_idempotency_key_is_its_tenants_own(client: TestClient, mine: Caller, theirs: Caller) -> None:
    once = {"Idempotency-Key": "the same"}
    answers = [client.post("/v1/generations", json=ASKED, headers=one.headers | once) for one in (mine, theirs, mine)]
    first, other, again = answers
    assert first.json()["id"] != other.json()["id"] and "Idempotent-Replayed" not in other.headers
    assert first.json()["id"] == again.json()["id"] and again.headers["Idempotent-Replayed"] == "true"


def test_what_was_made_before_there_were_keys_is_no_ones(client: TestClient, api_keys: ApiKeyStore) -> None:
    here = client.post("/v1/generations", json=ASKED).json()["links"]["self"]
    assert client.get(here).status_code == 200
    first = Caller(client, bearer(api_keys.create()[1]))
    assert first.ask("GET", "/v1/generations").json()["data"] == []
    assert first.ask("GET", here).status_code == 404
