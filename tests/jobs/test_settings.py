"""Settings come from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from jobs.settings import Settings


def test_variables_begin_with_guidepost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUIDEPOST_MAX_QUEUE", "7")
    assert Settings().max_queue == 7


def test_folders_are_absolute_so_that_every_process_means_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    settings = Settings(data_dir=Path("some/where"))
    monkeypatch.chdir("/tmp")
    assert settings.data_dir == Path("/some/where")
    assert settings.artifacts == "file:///some/where/artifacts"


def test_artifacts_may_live_elsewhere() -> None:
    assert Settings(artifacts_url="s3://bucket/prefix").artifacts == "s3://bucket/prefix"


def test_an_empty_redis_url_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUIDEPOST_REDIS_URL", "")
    assert Settings().redis == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize("url", ["nowhere://bucket", "bucket", "https://bucket", "s4://bucket"])
def test_a_store_of_another_kind_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValidationError, match="s3:"):
        Settings(artifacts_url=url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://:hunter/2@host:6379", "percent-encoded"),
        ("rediss://guidepost:hunter#2@host", "percent-encoded"),
        ("redis://:12/hunter2@host", "percent-encoded"),
        ("hunter2", "scheme"),
        ("redis://host:hunter2", "port"),
        ("redis://:hunter2@host:hunter3", "port"),
        ("redis://[hunter2", "port"),
    ],
)
def test_a_redis_url_that_cannot_be_read_is_refused_without_quoting_it(url: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as refused:
        Settings(redis_url=url)
    assert "hunter" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter%2F2@host/1",
        "rediss://guidepost:hunter2@host:6380/0?ssl_ca_certs=/etc/ca.pem&ssl_certfile=/etc/a@b.pem",
        "unix:///tmp/some@where/redis.sock",
    ],
)
def test_a_redis_url_that_can_be_read_is_kept_and_not_shown(url: str) -> None:
    settings = Settings(redis_url=url)
    assert settings.redis == url
    assert url not in repr(settings)
