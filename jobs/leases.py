"""Attempts whose worker lives, and those whose worker is lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import redis

from jobs.record import Failure
from jobs.settings import Settings
from jobs.transitions import Transitions

AT_ONCE = 100
"""Attempts that one round takes back; the next round comes soon."""
SILENT_ROUNDS = 3
"""Rounds that may be missing before it is taken that Redis was away."""


@dataclass(frozen=True)
class Attended:
    """What a worker is told."""

    stop: set[str]
    """The tokens of attempts that should stop: over, or asked to cancel."""
    short_waits: bool
    """Whether a short generation waits that it could run."""


class Leases:
    """For threads. An attempt has a lease of `lease_seconds` from its start, by the clock of Redis."""

    def __init__(self, connection: redis.Redis, settings: Settings) -> None:
        self._step = Transitions(connection, settings)
        self._pause = max(settings.lease_seconds / 2, SILENT_ROUNDS * settings.housekeeping_seconds)
        detail = f"its worker was lost {settings.max_attempts} times while it ran"
        self._failure = Failure(code="worker_lost", detail=detail, retryable=True).model_dump_json()

    def attend(self, attempts: Mapping[str, str], renew: bool = True, serves: Iterable[str] = ()) -> Attended:
        """These attempts, id by token, go on; `renew` begins their leases anew. `serves` are their worker's models."""
        _, stop, short = self._step("attend", "", attempts=dict(attempts), renew=renew, serves=list(serves))
        return Attended({token.decode() for token in stop}, bool(short))

    def reap(self) -> list[str]:
        """Take back the attempts whose lease is over: to their place in line, or to their end. Returns their ids."""
        _, lost = self._step("reap", "", pause=self._pause, at_once=AT_ONCE, failure=self._failure)
        return [id.decode() for id in lost]
