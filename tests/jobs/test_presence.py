"""Workers show themselves, and are gone when they are silent."""

from __future__ import annotations

import redis

from jobs import keys
from jobs.presence import Presence, live_models, live_workers
from tests.jobs.requests import LABELS, TEXT


def test_nobody_is_there_at_first(connection: redis.Redis) -> None:
    assert live_workers(connection) == []
    assert live_models(connection) == {}


def test_a_worker_is_seen_with_what_it_serves(connection: redis.Redis) -> None:
    Presence(connection, "b", 60).renew([TEXT])
    Presence(connection, "a", 60).renew([TEXT, LABELS], {"device": "cpu"})
    first, second = live_workers(connection)
    assert (first.id, first.models, first.info) == ("a", (TEXT, LABELS), {"device": "cpu"})
    assert second.id == "b"
    assert live_models(connection) == {"shapes": TEXT, "gaussians": LABELS}


def test_silence_is_absence(connection: redis.Redis) -> None:
    Presence(connection, "a", 60).renew([TEXT])
    assert 0 < connection.pttl(keys.worker("a")) <= 60_000
    connection.delete(keys.worker("a"))  # as Redis does when the time is up
    assert live_workers(connection) == []
    assert connection.scard(keys.WORKERS) == 0


def test_a_worker_may_leave(connection: redis.Redis) -> None:
    presence = Presence(connection, "a", 60)
    presence.renew([TEXT])
    presence.withdraw()
    assert live_workers(connection) == []
