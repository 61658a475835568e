"""The watch of a worker process: renews its lease and brings cancellations in, on a thread and connection of its own.

The engine never waits for Redis: it reads flags that this thread sets.
"""

from __future__ import annotations

import logging
import socket
import threading
import time

from jobs.connection import AWAY, connect
from jobs.presence import Presence
from jobs.store import JobStore
from workers.runtime import Runtime

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.05
"""How often cancellations are looked for: about a step of a small model, far less than one of a large."""
RENEWALS_PER_LEASE = 4


class Watch:
    """Runs until the runtime stops."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        redis = connect(runtime.settings)
        self.store = JobStore(redis, runtime.settings)
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
        try:
            self.presence.withdraw()
        except AWAY:
            log.warning("Redis is away: the lease ends by itself")

    def renew(self) -> None:
        """Renew the lease when its time has come."""
        now = time.monotonic()
        if now - self._renewed < self.runtime.settings.lease_seconds / RENEWALS_PER_LEASE:
            return
        settings, totals = self.runtime.settings, self.runtime.engine.batcher.totals
        device = str(next(iter(self.runtime.engine.models.values())).device)
        info = {"host": socket.gethostname(), "device": device, "concurrency": settings.concurrency}
        speed = totals.rows / totals.seconds if totals.seconds else 0.0
        info |= {"max_batch_rows": settings.max_batch_rows, "forwards": totals.forwards, "rows": totals.rows, "evaluations_per_second": speed}
        self.presence.renew(self._models, info)
        self._renewed = now

    def look(self) -> None:
        """Flag the tasks whose generation was asked to cancel."""
        if tasks := self.runtime.tasks():
            for id in self.store.canceling(list(tasks)):
                tasks[id].canceled.set()
