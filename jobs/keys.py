"""Names of the Redis keys."""

from __future__ import annotations

import hashlib

GENERATION = "guidepost:generation"
"""Prefix. Hash: the record of one generation."""
EVENTS = "guidepost:events"
"""Prefix. Stream: the events of one generation."""
INDEX = "guidepost:generations"
"""Sorted set of every generation id, all at score 0: ordered by id."""
COUNTERS = "guidepost:counters"
"""Hash of totals since the beginning, for the metrics."""
WAITING = "guidepost:waiting"
"""Set of crews that something waits for. With a crew behind it: sorted set of the ids in line, by priority and age."""
EXPRESS = "guidepost:express"
"""Prefix, with a crew behind it. Sorted set of the short ones among the ids in line, at the same places."""
DEADLINES = "guidepost:deadlines"
"""Sorted set of the ids whose client set a time, by its end."""
STORED = "guidepost:stored"
"""Sorted set of the ids that left bytes behind, by when these expire."""
LOAD = "guidepost:load"
"""Hash: generations and network evaluations that wait."""
DELIVERIES = "guidepost:deliveries"
"""Sorted set of the ids whose webhook is yet to be delivered, by when that is tried next."""
LEASES = "guidepost:leases"
"""Sorted set of the ids that run, by when their worker counts as lost unless it says that it lives."""
HELD = "guidepost:held"
"""Prefix. Set: the ids that one worker runs."""
TURNS = "guidepost:turns"
"""Hash: the clock of each priority, and by priority and tenant the turn of what is asked for next."""
ROUNDS = "guidepost:rounds"
"""Hash: when leases were last looked at, and until when nobody counts as lost."""
COMPARISON = "guidepost:comparison"
"""Prefix. Hash: the record of one comparison."""
COMPARISONS = "guidepost:comparisons"
"""Prefix. Sorted set of a tenant's comparison ids, all at score 0: ordered by id."""
WORKERS = "guidepost:workers"
"""Set of the ids of workers that have shown themselves."""
API_KEYS = "guidepost:api_keys"
"""Hash: what each API key may do, by its id; with a hash of its secret."""
API_KEYS_USED = "guidepost:api_keys:used"
"""Hash: when each API key was used last, in seconds since 1970."""
RATE = "guidepost:rate"
"""Prefix. List: when the latest requests of one API key came."""


def generation(id: str) -> str:
    return f"{GENERATION}:{id}"


def events(id: str) -> str:
    return f"{EVENTS}:{id}"


def index(status: str = "", tenant: str | None = None) -> str:
    """Sorted set of generation ids: of all or of one tenant, in any status or in one."""
    return INDEX + (f"@{tenant}" if tenant is not None else "") + (f":{status}" if status else "")


def comparison(id: str) -> str:
    return f"{COMPARISON}:{id}"


def comparisons(tenant: str) -> str:
    return f"{COMPARISONS}@{tenant}"


def waiting(crew: str) -> str:
    return f"{WAITING}:{crew}"


def once(tenant: str, key: str) -> str:
    """Hash with a time to live: what an idempotency key of a tenant led to."""
    return f"guidepost:once:{tenant}:{hashlib.sha256(key.encode()).hexdigest()}"


def signing(tenant: str) -> str:
    """Sorted set of the secrets that sign a tenant's webhooks, by their end; the current one has none."""
    return f"guidepost:signing:{tenant}"


def worker(id: str) -> str:
    """String with a time to live: what one worker says of itself."""
    return f"guidepost:worker:{id}"


def round(name: str) -> str:
    """String with a time to live: held by the one process that does this round."""
    return f"guidepost:round:{name}"


def quota(tenant: str) -> str:
    """String with a time to live, of one day: network evaluations accepted of a tenant."""
    return f"guidepost:quota:{tenant}"
