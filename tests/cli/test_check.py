"""`guidepost worker --check` tells a worker that serves from none and from a Redis that is away."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import redis

from jobs import keys
from jobs.presence import Presence
from jobs.settings import Settings
from tests.workers.process import running_worker


def checked(url: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "cli", "worker", "--check"]
    return subprocess.run(argv, env=os.environ | {"GUIDEPOST_REDIS_URL": url}, capture_output=True, text=True)


def test_a_worker_of_this_machine_is_found_while_it_shows_itself(connection: redis.Redis, settings: Settings) -> None:
    with running_worker(settings):
        found = checked(settings.redis)
        assert found.returncode == 0, found
        assert socket.gethostname() in found.stdout
    assert checked(settings.redis).returncode == 1


def test_a_worker_of_another_machine_does_not_answer_for_this_one(connection: redis.Redis, settings: Settings) -> None:
    Presence(connection, "elsewhere-1", 60).renew([], {"host": "elsewhere"})
    assert connection.exists(keys.worker("elsewhere-1"))
    assert checked(settings.redis).returncode == 1


def test_a_redis_that_is_away_is_not_taken_for_an_absent_worker() -> None:
    refused = checked("redis://127.0.0.1:1")
    assert refused.returncode == 2
    assert "Redis does not answer" in refused.stderr


def test_the_password_of_the_url_is_used(connection: redis.Redis, settings: Settings) -> None:
    path = settings.redis.removeprefix("unix://")
    connection.config_set("requirepass", "open sesame")
    try:
        assert checked(settings.redis).returncode == 2
        assert checked(f"unix://:open%20sesame@{path}").returncode == 1
    finally:
        with redis.Redis(unix_socket_path=path, password="open sesame") as client:
            client.config_set("requirepass", "")
