"""The embedded Redis: private, and remembers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import redis

from jobs.embedded import EmbeddedRedis, running


def client(server: EmbeddedRedis) -> redis.Redis:
    return redis.Redis.from_url(server.url)


def test_data_outlives_the_server(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server, client(server) as connection:
        connection.set("name", "value")
    with EmbeddedRedis(tmp_path) as server, client(server) as connection:
        assert connection.get("name") == b"value"


def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server:
        with client(server) as connection:
            for number in range(1000):
                connection.set(f"name:{number}", number)
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGKILL)
        server.stop()
        server.start()
        with client(server) as connection:
            assert connection.dbsize() == 1000


def test_only_this_user_may_connect(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server, client(server) as connection:
        assert server.socket.stat().st_mode & 0o077 == 0
        assert server.socket.parent.stat().st_mode & 0o077 == 0
        assert server.folder.stat().st_mode & 0o077 == 0
        assert connection.config_get("port") == {"port": "0"}


def test_leaves_nothing_but_its_data(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server:
        folder, process = server.socket.parent, server.process
    assert not folder.exists()
    assert process is not None
    assert process.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"redis"}


def test_a_server_that_cannot_start_says_where_to_look(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "appendonly.aof").write_bytes(b"this is no append-only file")
    with pytest.raises(RuntimeError, match=r"ended with status 1; its log is .*redis\.log"), EmbeddedRedis(tmp_path):
        pass


def test_another_process_finds_it_by_its_folder(tmp_path: Path) -> None:
    assert running(tmp_path) is None
    with EmbeddedRedis(tmp_path) as server:
        assert running(tmp_path) == server.url
        server.stop()
        assert running(tmp_path) is None
        server.start()
        assert running(tmp_path) == server.url
    assert running(tmp_path) is None


def test_no_two_servers_write_to_one_folder(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server:
        with pytest.raises(RuntimeError, match="another process runs a Redis on"), EmbeddedRedis(tmp_path):
            pass
        assert running(tmp_path) == server.url
    with EmbeddedRedis(tmp_path):
        pass
