"""The embedded Redis of `guidepost up` outlives its own death."""

import signal
import threading
from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError
from redis.retry import Retry

from cli import redis as kept


@pytest.mark.redis
def test_a_killed_redis_comes_back_with_what_it_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()
    monkeypatch.setattr(kept, "say", lambda text: told.set())
    patient = Retry(ConstantBackoff(0.05), 200, supported_errors=(ConnectionError,))
    with kept.kept_redis(tmp_path) as url, Redis.from_url(url, retry=patient) as redis:
        redis.set("key", "value")
        psutil.Process(redis.info("server")["process_id"]).send_signal(signal.SIGKILL)
        assert told.wait(10)
        assert redis.get("key") == b"value"
