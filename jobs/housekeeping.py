"""What has to happen though nobody asks: deadlines that pass, bytes that expire."""

from __future__ import annotations

import logging
import threading
from typing import cast

from jobs import keys
from jobs.artifacts import ArtifactStore, StorageAway, prefix
from jobs.connection import AWAY, connect
from jobs.settings import Settings
from jobs.store import JobStore

log = logging.getLogger(__name__)

AT_ONCE = 100
"""Generations that one round deals with: each round is short, and the next one comes soon."""


class Housekeeper:
    """A thread of every gateway. One of them at a time does the work, by a lock in Redis."""

    def __init__(self, settings: Settings, artifacts: ArtifactStore) -> None:
        self.settings = settings
        self.redis = connect(settings)
        self.store = JobStore(self.redis, settings)
        self.artifacts = artifacts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the round that runs."""
        self._stop.set()
        self._thread.join()
        self.redis.close()

    def tidy(self) -> None:
        """One round."""
        for id in self._due(keys.DEADLINES):
            self.store.expire(id)
        for id in self._due(keys.STORED):
            self.artifacts.delete(prefix(id))
            self.redis.zrem(keys.STORED, id)

    def _run(self) -> None:
        while not self._stop.wait(self.settings.housekeeping_seconds):
            try:
                if self._mine():
                    self.tidy()
            except AWAY:
                continue  # what is due stays due
            except StorageAway as error:
                log.warning("what expired cannot be removed yet: %s", error)
            except Exception:  # housekeeping goes on
                log.exception("a round of housekeeping failed")

    def _mine(self) -> bool:
        """Whether no other gateway has this round."""
        milliseconds = max(1, int(900 * self.settings.housekeeping_seconds))
        return bool(self.redis.set(keys.HOUSEKEEPER, "", px=milliseconds, nx=True))

    def _due(self, key: str) -> list[str]:
        seconds, microseconds = self.redis.time()
        found = cast(list[bytes], self.redis.zrangebyscore(key, "-inf", seconds + microseconds / 1e6, 0, AT_ONCE))
        return [id.decode() for id in found]
