"""The watch of a worker process: renews leases and brings cancellations in, on a thread and connection of its own.

The engine never waits for Redis: it reads flags that this thread sets.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import Any

from jobs.connection import AWAY, connect
from jobs.leases import Leases
from jobs.presence import Presence
from workers.express import Express
from workers.runtime import Runtime

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.05
"""How often cancellations are looked for: about a step of a small model, far less than one of a large."""
RENEWALS_PER_LEASE = 4


class Watch:
    """Runs until the runtime stops."""

    def __init__(self, runtime: Runtime, express: Express) -> None:
        self.runtime, self.express = runtime, express
        redis = connect(runtime.settings)
        self.leases = Leases(redis, runtime.settings)
        self.presence = Presence(redis, runtime.worker_id, runtime.settings.lease_seconds)
        self._models = [model.info for model in runtime.engine.models.values()]
        self._renewed = -1e9

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self.run, name="watch", daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        away = False
        while not self.runtime.stopping.wait(LOOK_SECONDS):
            try:
                self.renew()
                self.look()
                away = False
            except AWAY as error:
                if not away:
                    log.warning("Redis is away, sampling goes on: %s", error)
                away = True
            except Exception:  # a worker that nobody can cancel, and whose leases end, is worse than a line in the log
                log.exception("the watch failed; it goes on")
        try:
            self.presence.withdraw()
        except AWAY:
            log.warning("Redis is away: the lease ends by itself")

    def renew(self) -> None:
        """Say that this worker lives, and all it runs, when the time has come."""
        now = time.monotonic()
        if now - self._renewed < self.runtime.settings.lease_seconds / RENEWALS_PER_LEASE:
            return
        self._attend(renew=True)
        self.presence.renew(self._models, self._info(), self.runtime.engine.meter.paces())
        self._renewed = now

    def look(self) -> None:
        """Flag the tasks whose generation was asked to cancel, and those whose attempt is over."""
        self._attend(renew=False)

    def _attend(self, renew: bool) -> None:
        if tasks := self.runtime.tasks():
            attempts = {token: task.id for token, task in tasks.items()}
            told = self.leases.attend(attempts, renew, self.runtime.engine.models)
            for token in told.stop:
                tasks[token].canceled.set()
            if told.short_waits and len(tasks) >= self.runtime.settings.concurrency:
                self.express.wake()

    def _info(self) -> dict[str, Any]:
        settings, totals = self.runtime.settings, self.runtime.engine.batcher.totals
        device = str(next(iter(self.runtime.engine.models.values())).device)
        info: dict[str, Any] = {"host": socket.gethostname(), "device": device}
        info |= {"concurrency": settings.concurrency, "max_batch_rows": settings.max_batch_rows}
        info |= {"forwards": totals.forwards, "rows": totals.rows}
        return info | {"evaluations_left": self.runtime.forecast.remaining()}
