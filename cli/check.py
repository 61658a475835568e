"""`guidepost worker --check`: what a container's health check asks."""

import socket
import sys

from jobs.connection import AWAY, connect
from jobs.presence import live_workers
from jobs.settings import Settings

PRESENT, ABSENT, UNKNOWN = 0, 1, 2
"""Exit statuses. Who would start a worker again because Redis is away must tell the last two apart."""


def check(settings: Settings) -> int:
    """Whether a worker of this machine has shown itself in Redis within its lease; an exit status."""
    host = socket.gethostname()
    try:
        with connect(settings) as connection:
            here = [worker.id for worker in live_workers(connection) if worker.info.get("host") == host]
    except AWAY as error:
        print(f"Redis does not answer: {error}", file=sys.stderr)
        return UNKNOWN
    print(f"{host}: {', '.join(here)}" if here else f"{host}: no worker of this machine has shown itself lately")
    return PRESENT if here else ABSENT
