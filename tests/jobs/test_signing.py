"""Secrets of tenants: made once, replaced without a gap."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from jobs import keys
from jobs.signing import SigningSecrets

pytestmark = pytest.mark.redis


@pytest.fixture
def signing(connection: redis.Redis) -> SigningSecrets:
    return SigningSecrets(connection)


def test_a_secret_is_made_once_and_has_the_standard_form(signing: SigningSecrets) -> None:
    secret = signing.current()
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert signing.current() == secret
    assert signing.current("anna") != secret


def test_all_who_ask_first_at_once_get_the_same(signing: SigningSecrets) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(signing.current, ["anna"] * 32))) == 1


def test_what_was_replaced_signs_beside_the_new_one_for_a_day(signing: SigningSecrets) -> None:
    first = signing.current()
    second = signing.rotate()
    third = signing.rotate()
    assert signing.current() == third
    assert set(signing.valid()) == {third, second, first}
    signing.redis.zadd(keys.signing(""), {first: 1, second: 1})  # the day has passed
    assert signing.valid() == [third]
    fourth = signing.rotate()
    assert signing.redis.zcard(keys.signing("")) == 2
    assert signing.valid() == [fourth, third]
