"""How often an API key may ask, counted over all gateways; and the header fields that say so.

`RateLimit` and `RateLimit-Policy` are those of draft-ietf-httpapi-ratelimit-headers-10: `r` requests remain, and `t`
seconds from now the oldest one no longer counts.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import redis
from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter

from jobs import keys
from jobs.api_keys import ApiKey
from service.problems import Refusal


@dataclass(frozen=True)
class Standing:
    """Under one policy, after the request."""

    name: str
    item: RateLimitItem
    granted: bool
    remaining: int
    seconds: int
    """Until the oldest request that counts no longer does, so that one more is granted."""


class Rates:
    """A moving window per key and policy: exact, so that Retry-After can be honest. For threads."""

    def __init__(self, connection: redis.Redis) -> None:
        # The address is not used: the pool has it.
        storage = RedisStorage("redis://", connection_pool=connection.connection_pool, key_prefix=keys.RATE)
        self._limiter = MovingWindowRateLimiter(storage)

    def count(self, key: ApiKey) -> dict[str, str]:
        """Count one request. The header fields of its response; or a refusal with 429."""
        standings = [self._count(key, name, item) for name, item in _policies(key)]
        refusing = [standing for standing in standings if not standing.granted]
        headers = _headers(standings)
        if not refusing:
            return headers
        detail = " and ".join(f"{one.item.amount} requests in {one.item.get_expiry()} s" for one in refusing)
        wait = max(standing.seconds for standing in refusing)
        raise Refusal(429, "rate_limited", f"this key may make {detail}", retry_after=wait, headers=headers)

    def _count(self, key: ApiKey, name: str, item: RateLimitItem) -> Standing:
        granted = self._limiter.hit(item, key.id)  # what is refused does not count
        reset, remaining = self._limiter.get_window_stats(item, key.id)
        return Standing(name, item, granted, remaining, max(0, math.floor(reset - time.time()) + 1))


def _policies(key: ApiKey) -> list[tuple[str, RateLimitItem]]:
    policies: list[tuple[str, RateLimitItem]] = []
    if key.rate is not None:
        policies.append(("minute", RateLimitItemPerMinute(key.rate)))
    if key.burst is not None:
        policies.append(("burst", RateLimitItemPerSecond(key.burst)))
    return policies


def _headers(standings: list[Standing]) -> dict[str, str]:
    if not standings:
        return {}
    return {
        "RateLimit-Policy": ", ".join(f'"{s.name}";q={s.item.amount};w={s.item.get_expiry()}' for s in standings),
        "RateLimit": ", ".join(f'"{s.name}";r={s.remaining};t={s.seconds}' for s in standings),
    }
