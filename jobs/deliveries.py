"""The webhooks that are due: each is delivered at least once, or given up, whoever dies on the way."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis
from redis.commands.core import Script

from jobs import keys
from jobs.webhook import Delivery

SCRIPT = Path(__file__).with_suffix(".lua").read_text()
KEYS = [keys.DELIVERIES, keys.COUNTERS, keys.GENERATION]

SCHEDULE = (5, 15, 30, 60, 180, 480, 900, 1800, 3600)
"""Seconds between an attempt and the next: ten attempts in about two hours."""
JITTER = 0.2
"""Share by which each of them varies, so that what failed together does not come back together."""
LONGEST_RETRY_AFTER = 3600.0
CLAIM_SECONDS = 60.0
"""After which a delivery whose gateway says nothing is found again; longer than an attempt can take."""


LOOK = 1000
"""Deliveries that are looked through for one whose receiver is not busy."""
ASIDE_SECONDS = 20.0
"""For which they are put aside when there is none; about what an attempt can take."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to attempt a delivery, for CLAIM_SECONDS."""

    id: str
    """Of the generation."""
    receiver: str
    """Host and port; empty when the generation is gone."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one attempt. It arrived when there is no error."""

    error: str | None = None
    status: int | None = None
    """HTTP status of the answer, where there was one."""
    final: bool = False
    """Whether to try again would be in vain."""
    retry_after: float = 0.0
    """Seconds that the receiver asked for."""


class Deliveries:
    """For threads."""

    def __init__(self, connection: redis.Redis, schedule: Sequence[float] = SCHEDULE) -> None:
        self.redis = connection
        self.schedule = schedule
        self._script: Script = connection.register_script(SCRIPT)

    def claim(self, busy: Sequence[str] = ()) -> Claim | None:
        """What has been due for longest, but for receivers that are busy; None when there is nothing."""
        found = self._step("claim", busy=list(busy), claim=CLAIM_SECONDS, look=LOOK, aside=ASIDE_SECONDS)
        return Claim(found[0].decode(), found[1].decode()) if found else None

    def settle(self, id: str, before: Delivery, outcome: Outcome) -> Delivery | None:
        """What became of it with this attempt, also for the record; None when somebody else had settled it."""
        attempts = before.attempts + 1
        state, after = self._verdict(attempts, outcome)
        now = datetime.now(UTC)
        delivery = Delivery(
            state=state,
            attempts=attempts,
            last_attempt_at=now,
            last_status=outcome.status,
            last_error=outcome.error,
            next_attempt_at=None if after is None else now + timedelta(seconds=after),
        )
        name = "retried" if state == "pending" else state
        settled = self._step("settle", id, outcome=name, delivery=delivery.model_dump_json(), after=after)
        return delivery if settled else None

    def _verdict(self, attempts: int, outcome: Outcome) -> tuple[Any, float | None]:
        """The state that it is in now, and after how many seconds it is tried again."""
        if outcome.error is None:
            return "delivered", None
        if outcome.final or attempts > len(self.schedule):
            return "failed", None
        wait = self.schedule[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)
        return "pending", max(wait, min(outcome.retry_after, LONGEST_RETRY_AFTER))

    def _step(self, operation: str, id: str = "", **options: Any) -> Any:
        given = {name: value for name, value in options.items() if value is not None}
        return self._script(keys=KEYS, args=[operation, id, json.dumps(given)])
