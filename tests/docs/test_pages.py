"""Every example of docs/api.md and docs/cookbook.md does what the page says, on a service that runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from jobs.embedded import EmbeddedRedis
from jobs.settings import Settings
from service.app import create_app
from tests.docs.page import Example, examples
from tests.docs.reader import Reader
from tests.service.server import serving
from tests.workers.process import running_worker

DOCS = Path(__file__).parents[2] / "docs"
API, COOKBOOK = examples(DOCS / "api.md"), examples(DOCS / "cookbook.md")


class Called:
    """A layer around the app that notes which operations were called."""

    def __init__(self, app: ASGIApp, operations: set[str]) -> None:
        self.app = app
        self.operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
        if operation := getattr(scope.get("route"), "operation_id", None):
            self.operations.add(operation)


@dataclass
class Service:
    url: str
    redis_url: str
    documented: set[str]
    called: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One gateway and one worker for both pages."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as redis:
        data = tmp_path_factory.mktemp("data")
        settings = Settings(redis_url=redis.url, data_dir=data, webhook_allow="127.0.0.1")
        app = create_app(settings)
        operations = {verb["operationId"] for path in app.openapi()["paths"].values() for verb in path.values()}
        service = Service("", redis.url, operations)
        app.add_middleware(Called, operations=service.called)
        with running_worker(settings, "shapes"), serving(app) as service.url:
            yield service


def followed(page: list[Example], service: Service, folder: Path) -> dict[Example, str | None]:
    """What became of each example of a page, read from its beginning to its end."""
    reader = Reader(folder, service.url, GUIDEPOST_REDIS_URL=service.redis_url)
    return {example: reader.follow(example) for example in page}


@pytest.fixture(scope="module")
def cookbook(service: Service, tmp_path_factory: pytest.TempPathFactory) -> dict[Example, str | None]:
    return followed(COOKBOOK, service, tmp_path_factory.mktemp("cookbook"))


@pytest.fixture(scope="module")
def api(
    service: Service, cookbook: dict[Example, str | None], tmp_path_factory: pytest.TempPathFactory
) -> dict[Example, str | None]:
    """After the cookbook: from its first key on, the service answers nobody without one."""
    service.called.clear()
    return followed(API, service, tmp_path_factory.mktemp("api"))


@pytest.mark.slow
@pytest.mark.parametrize("example", API, ids=str)
def test_api_example_answers_as_shown(example: Example, api: dict[Example, str | None]) -> None:
    assert api[example] is None, f"docs/{example}: {api[example]}"


@pytest.mark.slow
@pytest.mark.parametrize("example", COOKBOOK, ids=str)
def test_recipe_does_what_it_says(example: Example, cookbook: dict[Example, str | None]) -> None:
    assert cookbook[example] is None, f"docs/{example}: {cookbook[example]}"


@pytest.mark.slow
@pytest.mark.usefixtures("api")
def test_every_operation_has_an_example_that_was_run(service: Service) -> None:
    missing = service.documented - service.called
    assert not missing, f"docs/api.md has no example of {sorted(missing)}"
