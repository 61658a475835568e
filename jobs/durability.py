"""Whether the Redis that a service stands on keeps what it acknowledges."""

from __future__ import annotations

from typing import Any

import redis

NEVER_EVICTS = "noeviction"


def shortcomings(connection: redis.Redis) -> list[str]:
    """What its settings may lose of accepted work, a sentence each; nothing where a Redis does not tell.

    Raises what redis-py raises while Redis is away.
    """
    try:
        info: dict[str, Any] = connection.info()
    except redis.ResponseError:  # not allowed to this user
        return []
    return [*_eviction(info), *_persistence(info)]


def _eviction(info: dict[str, Any]) -> list[str]:
    policy = info.get("maxmemory_policy", NEVER_EVICTS)
    if policy == NEVER_EVICTS:
        return []
    return [
        f"Redis may throw accepted work away when its memory is full: set its maxmemory-policy = {policy} to noeviction"
    ]


def _persistence(info: dict[str, Any]) -> list[str]:
    if not info.get("aof_enabled", 1):
        return [
            "Redis keeps no append-only file, and loses what it accepted when it ends: set its appendonly = no to yes"
        ]
    if info.get("aof_last_write_status", "ok") != "ok":
        return ["Redis cannot write its append-only file, and refuses writes: its disk may be full"]
    return []
