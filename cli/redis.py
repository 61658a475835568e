"""The Redis of `guidepost up`: embedded, and started again if it ends unasked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.process import ending
from cli.supervisor import say
from jobs.embedded import EmbeddedRedis, running
from jobs.settings import Settings


@contextmanager
def kept_redis(data_dir: Path) -> Iterator[str]:
    """The URL of a Redis of our own, with its files under `data_dir`."""
    with EmbeddedRedis(data_dir) as redis:
        stopping = threading.Event()
        threading.Thread(target=_keep, args=(redis, stopping), name="redis keeper", daemon=True).start()
        try:
            yield redis.url
        finally:
            stopping.set()


@contextmanager
def reached_redis(settings: Settings) -> Iterator[str]:
    """The URL of the Redis that a service with these settings has: the one that is named, the embedded one of a
    `guidepost up` that runs now, or that one's data in a Redis of our own for the time being.
    """
    if url := settings.redis_url or running(settings.data_dir):
        yield url
        return
    with EmbeddedRedis(settings.data_dir) as redis:
        yield redis.url


def _keep(redis: EmbeddedRedis, stopping: threading.Event) -> None:
    while (process := redis.process) is not None:
        status = process.wait()
        if stopping.is_set():
            return
        say(f"redis {ending(status)}: starting it again")
        redis.start()
