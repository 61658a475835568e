"""Connections to Redis, for threads and for asyncio."""

from __future__ import annotations

import redis
import redis.asyncio
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from jobs.settings import Settings

AWAY = (redis.ConnectionError, redis.TimeoutError, redis.exceptions.ReadOnlyError, redis.exceptions.OutOfMemoryError)
"""What is raised while Redis cannot be used and may be again later."""

LONGEST_BLOCK_SECONDS = 10.0
"""How long one blocking call may wait in Redis; whoever waits longer calls again."""
CONNECT_SECONDS = 2.0
# One retry, at once: a pooled connection that Redis dropped is replaced. Every write of ours may safely happen twice.
RETRIES = 1
NO_WAIT = 0.0


def connect(settings: Settings) -> redis.Redis:
    """A client for threads. Every call answers or raises within `redis_timeout_seconds`. ValueError where the URL has
    an option that there is not.
    """
    try:
        redis.ConnectionPool.from_url(settings.redis).make_connection()  # nothing is connected yet
    except (TypeError, ValueError, redis.RedisError) as error:
        raise ValueError(f"GUIDEPOST_REDIS_URL: {error}") from None
    return redis.Redis.from_url(
        settings.redis,
        socket_timeout=settings.redis_timeout_seconds,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(ConstantBackoff(NO_WAIT), RETRIES),
    )


def connect_blocking(settings: Settings, seconds: float) -> redis.Redis:
    """A client for calls that wait in Redis for up to `seconds`. A Redis that is silent for longer is away."""
    return redis.Redis.from_url(
        settings.redis,
        socket_timeout=seconds + settings.redis_timeout_seconds,  # redis-py's own default, 5 s, would cut the wait off
        socket_connect_timeout=CONNECT_SECONDS,
    )


def connect_async(settings: Settings) -> redis.asyncio.Redis:
    """A client for asyncio whose calls may block in Redis; each blocked call holds one connection."""
    return redis.asyncio.Redis.from_url(
        settings.redis,
        socket_timeout=max(settings.heartbeat_seconds, LONGEST_BLOCK_SECONDS) + settings.redis_timeout_seconds,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=redis.asyncio.retry.Retry(ConstantBackoff(NO_WAIT), RETRIES),
    )
