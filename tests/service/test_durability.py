"""A gateway says when it starts that its Redis may lose what is accepted."""

from __future__ import annotations

import asyncio
import logging

import pytest
import redis

from jobs.settings import Settings
from service.app import create_app


def started(settings: Settings) -> None:
    """A gateway starts, looks at its Redis, and ends."""

    async def start() -> None:
        app = create_app(settings)
        async with app.router.lifespan_context(app):
            await app.state.looking

    asyncio.run(start())


def test_a_redis_that_forgets_is_warned_of(
    connection: redis.Redis, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    connection.config_set("appendonly", "no")
    try:
        with caplog.at_level(logging.WARNING, logger="guidepost.service"):
            started(settings)
    finally:
        connection.config_set("appendonly", "yes")
    assert "append-only file" in caplog.text


def test_one_that_keeps_everything_is_not(
    connection: redis.Redis, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="guidepost.service"):
        started(settings)
    assert caplog.text == ""
