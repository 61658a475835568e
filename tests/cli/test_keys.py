"""`guidepost keys`, and the door that they open."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from cli.client import Service
from cli.main import app
from jobs.embedded import EmbeddedRedis
from tests.cli.conftest import Start

CACHED_SECONDS = 30.0


def keys(*arguments: str, ok: bool = True) -> Result:
    done = CliRunner().invoke(app, ["keys", *arguments])
    assert (done.exit_code == 0) is ok, done.output
    return done


@pytest.fixture
def redis(redis_server: EmbeddedRedis, connection: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that GUIDEPOST_REDIS_URL names."""
    monkeypatch.setenv("GUIDEPOST_REDIS_URL", redis_server.url)
    monkeypatch.setenv("COLUMNS", "200")


def test_a_key_is_shown_once_and_alone_on_standard_output(redis: None) -> None:
    token = keys("create", "laptop", "--rate", "60", "--quota", "1000").stdout
    _, id, secret = token.strip().split("_")
    listed = keys("list").output
    assert id in listed and "laptop" in listed and "60/min, 1000 evaluations/day" in listed
    assert secret not in listed


def test_a_revoked_key_is_listed_as_such(redis: None) -> None:
    token = keys("create").stdout.strip()
    assert "active" in keys("list").output
    keys("revoke", token.split("_")[1])
    assert "revoked" in keys("list").output
    keys("revoke", token)  # a whole key will do
    assert "no key of this id" in keys("revoke", "nothing", ok=False).output


@pytest.mark.parametrize(
    ("option", "value"), [("--scope", "admin"), ("--tenant", "a b"), ("--rate", "0"), ("--days", "1e99")]
)
def test_a_wrong_option_is_told_by_its_name(redis: None, option: str, value: str) -> None:
    assert option in keys("create", option, value, ok=False).output
    assert "active" not in keys("list").output


def test_keys_lie_with_the_data_of_the_embedded_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GUIDEPOST_REDIS_URL", raising=False)
    here = ("--data-dir", str(tmp_path))
    keys("create", "before", *here)  # nothing runs: for the time being it starts one
    with EmbeddedRedis(tmp_path):
        keys("create", "while", *here)
    listed = keys("list", *here).output
    assert "before" in listed and "while" in listed


def test_a_redis_that_is_away_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUIDEPOST_REDIS_URL", "redis://127.0.0.1:9")
    assert "Redis does not answer" in keys("list", ok=False).output


def test_it_does_not_listen_to_others_without_a_key(redis_server: EmbeddedRedis, connection: object) -> None:
    for command in ("serve", "up"):
        argv = [sys.executable, "-m", "cli", command, "--host", "0.0.0.0", "--port", "0"]
        env = {**os.environ, "GUIDEPOST_REDIS_URL": redis_server.url}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert "no API key exists" in " ".join(done.stderr.replace("│", "").split())


def test_a_key_made_while_it_runs_closes_the_service(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start("--workers", "0", "--host", "0.0.0.0", "--open") as up:
        with Service(up.url) as service:
            assert service.get("/v1/models")["data"] == []
        monkeypatch.delenv("GUIDEPOST_REDIS_URL", raising=False)
        token = keys("create", "--data-dir", str(tmp_path / "data")).stdout.strip()
        deadline = time.monotonic() + CACHED_SECONDS
        while httpx.get(f"{up.url}/v1/models").status_code != 401:
            assert time.monotonic() < deadline
        monkeypatch.setenv("GUIDEPOST_API_KEY", token)
        with Service(up.url) as service:
            assert service.answers("/readyz", seconds=5) is False  # no worker; but it needs no key
            assert service.get("/v1/models")["data"] == []
