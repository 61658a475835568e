"""`guidepost webhooks`."""

from __future__ import annotations

import pytest
import redis
from typer.testing import CliRunner

from cli.main import app
from jobs.settings import Settings
from jobs.signing import SigningSecrets

run = CliRunner().invoke
pytestmark = pytest.mark.redis


@pytest.fixture(autouse=True)
def the_redis(connection: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUIDEPOST_REDIS_URL", settings.redis)


def test_the_secret_is_the_one_that_signs(connection: redis.Redis) -> None:
    secrets = SigningSecrets(connection)
    assert run(app, ["webhooks", "secret"]).output == f"{secrets.current()}\n"
    assert run(app, ["webhooks", "secret", "--tenant", "anna"]).output == f"{secrets.current('anna')}\n"


def test_rotating_prints_the_new_one(connection: redis.Redis) -> None:
    old = SigningSecrets(connection).current()
    new = run(app, ["webhooks", "rotate"]).output.strip()
    assert SigningSecrets(connection).valid() == [new, old]


def test_a_redis_that_is_away_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUIDEPOST_REDIS_URL", "redis://127.0.0.1:1")
    done = run(app, ["webhooks", "secret"])
    assert done.exit_code == 1
    assert "Redis does not answer" in done.output


@pytest.mark.parametrize("command", ["secret", "rotate"])
def test_help_shows_examples(command: str) -> None:
    assert f"guidepost webhooks {command}" in run(app, ["webhooks", command, "--help"]).output
