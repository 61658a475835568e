"""What has to happen though nobody asks: deadlines, leases and bells; bytes that expire."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import cast

from jobs import keys
from jobs.artifacts import ArtifactStore, prefix
from jobs.connection import connect
from jobs.ids import made_at
from jobs.leases import Leases
from jobs.rounds import Rounds
from jobs.settings import Settings
from jobs.store import JobStore

log = logging.getLogger(__name__)

AT_ONCE = 100
"""Generations, or bells, that one round deals with: each round is short, and the next one comes soon."""
SPARE_BELLS = 1000
"""Bells that may be left of generations that were canceled while they waited."""
ORPHANS_SECONDS = 3600.0
"""How often bytes are looked for that no record knows of: they are rare, and the store is listed as a whole."""
SPARE = timedelta(hours=1)
"""For which bytes without a record may be older than any record could make them."""


class Housekeeper:
    """Threads of every gateway and every worker, so that what is due happens while any of them lives.

    One process at a time does a round. Bytes have rounds of their own: a store that is slow delays no reaping.
    """

    def __init__(self, settings: Settings, artifacts: ArtifactStore) -> None:
        self.settings = settings
        self.redis = connect(settings)
        self.store = JobStore(self.redis, settings)
        self.leases = Leases(self.redis, settings)
        self.artifacts = artifacts
        every = settings.housekeeping_seconds
        self._rounds = (
            Rounds("line", self.redis, every, self.tend_line),
            Rounds("bytes", self.redis, every, self.remove_expired),
            Rounds("orphans", self.redis, ORPHANS_SECONDS, self.remove_orphans),
        )

    def start(self) -> None:
        for rounds in self._rounds:
            rounds.start()

    def stop(self) -> None:
        """End after the rounds that run."""
        for rounds in self._rounds:
            rounds.stop()
        self.redis.close()

    def tend_line(self) -> None:
        """Deadlines that passed, attempts whose worker is lost, bells that are missing."""
        for id in self._due(keys.DEADLINES):
            self.store.expire(id)
        for id in self.leases.reap():
            log.warning("generation %s has lost its worker", id, extra={"generation_id": id})
        self._tune_bells()

    def _tune_bells(self) -> None:
        """About as many bells as generations that wait. Some are in workers' hands at any time."""
        unheard = self.store.unheard()
        if unheard > 0:
            self.store.ring(min(AT_ONCE, unheard))
        elif unheard < -SPARE_BELLS:
            self.store.hush(-unheard - SPARE_BELLS)

    def remove_expired(self) -> None:
        """Bytes whose time is over."""
        for id in self._due(keys.STORED):
            self.artifacts.delete(prefix(id))
            self.redis.zrem(keys.STORED, id)

    def remove_orphans(self) -> None:
        """Bytes that are older than any could be that a record knows of: Redis lost it, or was set up anew."""
        kept = max(self.settings.result_ttl_seconds, self.settings.record_ttl_seconds) + self.settings.run_seconds
        oldest = datetime.now(UTC) - timedelta(seconds=kept) - SPARE
        old = [id for id in self.artifacts.owners() if made_at(id) < oldest]
        for start in range(0, len(old), AT_ONCE):
            ids = old[start : start + AT_ONCE]
            for id, known in zip(ids, self._known(ids), strict=True):
                if not known:
                    self.artifacts.delete(prefix(id))

    def _known(self, ids: list[str]) -> list[int]:
        with self.redis.pipeline(transaction=False) as pipeline:
            for id in ids:
                pipeline.exists(keys.generation(id), keys.comparison(id))
            return cast(list[int], pipeline.execute())

    def _due(self, key: str) -> list[str]:
        seconds, microseconds = self.redis.time()
        found = cast(list[bytes], self.redis.zrangebyscore(key, "-inf", seconds + microseconds / 1e6, 0, AT_ONCE))
        return [id.decode() for id in found]
