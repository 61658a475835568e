"""Something that happens again and again, in one process of all at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import redis

from jobs import keys
from jobs.artifacts import StorageAway
from jobs.connection import AWAY

log = logging.getLogger(__name__)


class Rounds:
    """A thread that calls `act` about every `seconds`, while no other process has this round."""

    def __init__(self, name: str, connection: redis.Redis, seconds: float, act: Callable[[], None]) -> None:
        self.name, self.redis, self.seconds, self.act = name, connection, seconds, act
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the round that runs."""
        self._stop.set()
        self._thread.join()

    def mine(self) -> bool:
        """Whether no other process has this round."""
        milliseconds = max(1, int(900 * self.seconds))
        return bool(self.redis.set(keys.round(self.name), "", px=milliseconds, nx=True))

    def _run(self) -> None:
        while not self._stop.wait(self.seconds):
            try:
                if self.mine():
                    self.act()
            except AWAY:
                continue  # what is due stays due
            except StorageAway as error:
                log.warning("what expired cannot be removed yet: %s", error)
            except Exception:  # the next round may do better
                log.exception("a round of %s failed", self.name)
