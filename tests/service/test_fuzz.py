"""Whatever fits the OpenAPI document, and whatever does not: no 5xx, and every answer is as documented."""

from __future__ import annotations

import re

import pytest
import redis

from jobs.settings import Settings
from tests.service.fuzz import fuzz


@pytest.mark.slow
def test_every_answer_is_as_documented(settings: Settings, connection: redis.Redis) -> None:
    done = fuzz(settings, "--phases", "fuzzing", "--max-examples", "25", "--no-shrink", "--seed", "1")
    assert done.returncode == 0, done.stdout
    generated = re.search(r"(\d+) generated", done.stdout)
    assert generated and int(generated[1]) > 300, done.stdout
