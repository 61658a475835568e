"""A gateway and a worker as processes, at their most talkative, over TLS to a Redis with a password: asked for work
with secrets in it, and with everything broken that can break. What they say, answer and trace holds none of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import redis

from jobs import keys
from jobs.connection import connect
from jobs.settings import Settings
from jobs.signing import SigningSecrets
from jobs.store import JobStore
from tests.observability.collector import collecting
from tests.observability.conftest import process
from tests.security.conftest import PASSWORD, QUOTED, Secured
from tests.service.receiver import receiving
from tests.workers.process import BODY, create

pytestmark = [pytest.mark.redis, pytest.mark.slow]

SECRET = "hunter2-of-a-client-never-to-be-seen"
ASKED = BODY | {"n": 1, "sampler": {"type": "ddim", "steps": 2}, "metadata": {"note": SECRET}}
BROKEN = {"prompt": SECRET, "unknown": SECRET, "seed": SECRET}


@dataclass
class Left:
    """What was said, by who said it; and the secrets that were told."""

    token: str = ""
    signing: str = ""
    statuses: list[int] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    spans: str = ""
    held: bytes = b""
    """Everything in Redis."""
    delivered: bytes = b""

    @property
    def house(self) -> list[str]:
        """Secrets that nobody is ever told."""
        return [PASSWORD, QUOTED, QUOTED.partition("%")[0], self.token, self.token.rpartition("_")[2], self.signing]

    def keep(self, response: httpx.Response) -> httpx.Response:
        self.statuses.append(response.status_code)
        self.answers.append(f"{response.headers} {response.text}")
        return response


def command(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "cli", *arguments]
    return subprocess.run(argv, env=os.environ | env, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def left(secured: Secured) -> Iterator[Left]:
    left, folder = Left(), secured.folder
    env = {"GUIDEPOST_REDIS_URL": secured.url(), "GUIDEPOST_DATA_DIR": str(folder), "GUIDEPOST_LOG_LEVEL": "debug"}
    env |= {"GUIDEPOST_LOG_FORMAT": "json", "GUIDEPOST_MODELS": "gaussians", "GUIDEPOST_METRICS_PORT": "0"}
    env |= {"GUIDEPOST_WEBHOOK_ALLOW": "127.0.0.1", "GUIDEPOST_REDIS_TIMEOUT_SECONDS": "2"}
    made = command(env, "keys", "create", "--tenant", "acme", "--scope", "read", "--scope", "write", "--rate", "600")
    left.token = made.stdout.strip()
    left.logs = {"keys create": made.stderr}
    with connect(Settings(redis_url=secured.url())) as connection:
        left.signing = SigningSecrets(connection).current("acme")
        spoil(connection, create(JobStore(connection, Settings()), BODY))
        with receiving() as receiver, collecting() as collector:
            env["GUIDEPOST_OTLP_ENDPOINT"] = collector.url
            with process("worker", env, folder), process("serve", env, folder, "--port", "0") as listens:
                with httpx.Client(base_url=listens.split()[-1], timeout=60) as client:
                    job = work(left, client, receiver.url.replace("key=1", f"key={SECRET}"))
                    left.delivered = receiver.got().body
                    left.held = everything(connection)
                    mine = {"Authorization": f"Bearer {left.token}"}
                    spoil(connection, job["id"])
                    left.keep(client.get(job["links"]["self"], headers=mine))
                    secured.server.stop()
                    for path in ("/v1/generations", job["links"]["self"], "/readyz"):
                        left.keep(client.get(path, headers=mine))
            left.spans = repr(collector.spans)
    left.logs |= {name: (folder / f"{name}.log").read_text() for name in ("worker", "serve")}
    left.logs["keys list"] = failed(env, "keys", "list")
    left.logs["serve"] += failed(env | {"GUIDEPOST_REDIS_URL": secured.url(PASSWORD)}, "serve")
    yield left


def spoil(connection: redis.Redis, id: str) -> None:
    """A record that nobody can read, with a secret in it."""
    connection.hset(keys.generation(id), "request", json.dumps(BROKEN))


def work(left: Left, client: httpx.Client, hook: str) -> dict[str, Any]:
    """Ask for what works and for what does not; the generation."""
    mine = {"Authorization": f"Bearer {left.token}", "Cookie": SECRET, "Prefer": "wait=60"}
    asked = ASKED | {"webhook": {"url": hook}}
    job: dict[str, Any] = left.keep(
        client.post("/v1/generations", json=asked, headers=mine | {"Idempotency-Key": SECRET})
    ).json()
    for path in (job["links"]["self"], job["images"][0]["url"], job["links"]["events"]):
        left.keep(client.get(path, headers=mine))
    for body in (BROKEN, asked | {"model": SECRET}, {"prompt": SECRET, "source": {"image": SECRET}}, [SECRET]):
        left.keep(client.post("/v1/generations", json=body, headers=mine))
    left.keep(client.post("/v1/generations", json=ASKED | {"seed": 2}, headers=mine | {"Idempotency-Key": SECRET}))
    left.keep(client.post("/v1/images/generations", json={"prompt": SECRET, "size": SECRET}, headers=mine))
    left.keep(client.get(f"/v1/{SECRET}?key={SECRET}", headers=mine))
    left.keep(client.get(f"/v1/models?key={left.token}"))
    left.keep(client.get("/v1/models", headers={"Authorization": f"Bearer {left.token[:-1]}x"}))
    left.keep(client.get("/v1/models", headers={"Authorization": f"Basic {SECRET}"}))
    return job


def everything(connection: redis.Redis) -> bytes:
    readers: dict[Any, Any] = {
        b"string": connection.get,
        b"hash": connection.hgetall,
        b"set": connection.smembers,
        b"zset": lambda key: connection.zrange(key, 0, -1),
        b"list": lambda key: connection.lrange(key, 0, -1),
        b"stream": connection.xrange,
        b"none": lambda key: None,  # leases and rate windows may end between the scan and the question
    }
    found = [(key, readers[connection.type(key)](key)) for key in connection.scan_iter("*")]
    return repr(found).encode()


def failed(env: dict[str, str], *words: str) -> str:
    """What a command says that cannot do its work: Redis is away, or its URL is wrong."""
    done = command(env, *words)
    assert done.returncode == 1
    return done.stdout + done.stderr


def test_the_service_works_over_tls_with_a_password(left: Left) -> None:
    assert left.statuses[:4] == [200] * 4
    assert b"generation.succeeded" in left.delivered


def test_everything_broke_that_should(left: Left) -> None:
    assert left.statuses[4:] == [422] * 5 + [400, 404, 400, 401, 401, 500] + [503, 503, 503]
    for name, cause in {"serve": "Traceback", "worker": "cannot be read"}.items():
        assert cause in left.logs[name], left.logs[name]
    assert "Redis is away" in left.logs["worker"]
    assert "Redis does not answer" in left.logs["keys list"]
    assert "percent-encoded" in left.logs["serve"]


def test_nobody_says_a_secret(left: Left) -> None:
    for name, log in left.logs.items():
        assert [secret for secret in (SECRET, *left.house) if secret in log] == [], (name, log)


def test_no_answer_has_a_secret_of_the_house(left: Left) -> None:
    for answer in (*left.answers, left.delivered.decode()):
        assert [secret for secret in left.house if secret in answer] == [], answer


def test_no_trace_has_a_secret(left: Left) -> None:
    assert "POST /v1/generations" in left.spans
    assert [secret for secret in (SECRET, *left.house) if secret in left.spans] == []


def test_redis_holds_no_key_that_opens_the_service(left: Left) -> None:
    assert left.signing.encode() in left.held  # it must sign: docs/security.md says so
    assert left.token.rpartition("_")[2].encode() not in left.held
