"""A Redis that may lose accepted work is told from one that does not."""

from __future__ import annotations

import pytest
import redis

from jobs.durability import shortcomings


def test_the_embedded_redis_lacks_nothing(connection: redis.Redis) -> None:
    assert shortcomings(connection) == []


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [("maxmemory-policy", "allkeys-lru", "allkeys-lru"), ("appendonly", "no", "append-only file")],
)
def test_a_setting_that_loses_work_is_named(connection: redis.Redis, setting: str, value: str, said: str) -> None:
    before = connection.config_get(setting)[setting] or ""
    connection.config_set(setting, value)
    try:
        [found] = shortcomings(connection)
        assert said in found
    finally:
        connection.config_set(setting, before)
    assert shortcomings(connection) == []


def test_a_redis_that_does_not_tell_is_not_suspected(connection: redis.Redis) -> None:
    connection.acl_setuser("modest", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all", "-info"])
    try:
        path = connection.connection_pool.connection_kwargs["path"]
        with redis.Redis(unix_socket_path=path, username="modest", password="secret") as modest:
            with pytest.raises(redis.exceptions.NoPermissionError):
                modest.info()
            assert shortcomings(modest) == []
    finally:
        connection.acl_deluser("modest")
