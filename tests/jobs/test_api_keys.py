"""API keys in Redis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import redis
from pydantic import ValidationError

from jobs.api_keys import ApiKeyStore, id_of, opens
from jobs.settings import Settings

NOW = datetime.now(UTC)


@pytest.fixture
def api_keys(connection: redis.Redis) -> ApiKeyStore:
    return ApiKeyStore(connection)


def test_a_key_is_known_by_its_id_and_opened_by_its_secret(api_keys: ApiKeyStore) -> None:
    key, token = api_keys.create("laptop")
    other, other_token = api_keys.create()
    assert id_of(token) == key.id
    assert opens(token, key)
    assert not opens(token, other) and not opens(other_token, key) and not opens(token, None)
    assert api_keys.all() == [key, other]


def test_a_tenant_is_its_own_unless_one_is_named(api_keys: ApiKeyStore) -> None:
    key, _ = api_keys.create()
    assert key.tenant == key.id
    assert api_keys.create(tenant="acme")[0].tenant == "acme"


@pytest.mark.parametrize("tenant", ["a:queued", "a@b", "a b", "", "x" * 65, "é"])
def test_a_tenant_cannot_be_named_like_another_s_keys_in_redis(api_keys: ApiKeyStore, tenant: str) -> None:
    if tenant == "":  # stands for the service without keys
        assert api_keys.create(tenant=tenant)[0].tenant != ""
        return
    with pytest.raises(ValidationError):
        api_keys.create(tenant=tenant)
    assert api_keys.all() == []


def test_the_states_of_a_key(api_keys: ApiKeyStore) -> None:
    key, _ = api_keys.create(expires_at=NOW + timedelta(days=1))
    assert key.state(NOW) == "active"
    assert key.state(NOW + timedelta(days=1)) == "expired"
    revoked = api_keys.revoke(key.id)
    assert revoked is not None and revoked.state(NOW) == "revoked"
    assert api_keys.revoke(key.id) == revoked
    assert api_keys.all() == [revoked]
    assert api_keys.revoke("000000000000") is None


def test_when_a_key_was_used_last(api_keys: ApiKeyStore) -> None:
    used, _ = api_keys.create()
    api_keys.create()
    api_keys.note_use(used.id)
    assert list(api_keys.last_used()) == [used.id]
    assert api_keys.last_used()[used.id] >= NOW.replace(microsecond=0)


@pytest.mark.parametrize(
    ("host", "open", "needs_no_key"),
    [
        ("127.0.0.1", False, True),
        ("127.8.8.8", False, True),
        ("::1", False, True),
        ("localhost", False, True),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("192.168.0.3", False, False),
        ("example.org", False, False),
        ("", False, False),
        ("0.0.0.0", True, True),
    ],
)
def test_no_key_is_needed_where_only_this_machine_can_ask(host: str, open: bool, needs_no_key: bool) -> None:
    assert Settings(host=host, open=open).needs_no_key is needs_no_key
