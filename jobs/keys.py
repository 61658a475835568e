"""Names of the Redis keys."""

from __future__ import annotations

INDEX = "guidepost:generations"
"""Sorted set of every generation id, all at score 0: ordered by id. `index(status)` holds those in one status."""
COUNTERS = "guidepost:counters"
"""Hash of totals since the beginning, for the metrics."""
WORKERS = "guidepost:workers"
"""Set of the ids of workers that have shown themselves."""


def generation(id: str) -> str:
    """Hash: the record of one generation."""
    return f"guidepost:generation:{id}"


def events(id: str) -> str:
    """Stream: the events of one generation."""
    return f"guidepost:events:{id}"


def index(status: str) -> str:
    return f"{INDEX}:{status}"


def worker(id: str) -> str:
    """String with a time to live: what one worker says of itself."""
    return f"guidepost:worker:{id}"
