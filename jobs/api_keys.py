"""API keys: who asks, what they may, and how much. Redis holds a hash of each secret, never the secret."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Any, Literal, cast

import redis
from pydantic import BaseModel, ConfigDict, Field

from jobs import keys

Scope = Literal["read", "write", "metrics"]
FORM = re.compile(r"gp_([0-9a-f]{12})_[0-9a-f]{64}")
"""Of a whole key: `gp_<id>_<secret>`."""
NO_DIGEST = "0" * 64


class ApiKey(BaseModel):
    """What one key may do. Bounds that are None do not bind."""

    model_config = ConfigDict(frozen=True)

    id: str
    sha256: str
    """Of the whole key. A plain hash is enough: nobody guesses 256 random bits, however fast a guess can be tried."""
    name: str = Field("", max_length=100)
    tenant: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")  # it becomes part of names in Redis
    """Whose work it sees. Keys of one tenant see the same, which is how a key is replaced by the next."""
    scopes: frozenset[Scope] = frozenset({"read", "write"})
    rate: int | None = Field(None, ge=1, le=100_000)
    """Requests in any minute."""
    burst: int | None = Field(None, ge=1, le=10_000)
    """Requests in any second."""
    max_active: int | None = Field(None, ge=1)
    """Generations that its tenant may have queued and running."""
    quota: int | None = Field(None, ge=1)
    """Network evaluations that its tenant may have accepted in a day (UTC)."""
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> str:
        """active, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


def id_of(token: str) -> str | None:
    """The id in a whole key; None when it has not the form of one."""
    found = FORM.fullmatch(token)
    return found[1] if found else None


def opens(token: str, key: ApiKey | None) -> bool:
    """Whether this is the key, in a time that does not depend on how much of it is right."""
    return compare_digest(_digest(token), key.sha256 if key else NO_DIGEST) and key is not None


class ApiKeyStore:
    """The keys in Redis. A revoked key stays on record: with all keys revoked the service is closed, not open."""

    def __init__(self, connection: redis.Redis) -> None:
        self.redis = connection

    def create(self, name: str = "", tenant: str | None = None, **fields: Any) -> tuple[ApiKey, str]:
        """A new key, and the only copy of it whole. `tenant` is by default one of its own: its id."""
        id = secrets.token_hex(6)
        token = f"gp_{id}_{secrets.token_hex(32)}"
        now = datetime.now(UTC)
        key = ApiKey(id=id, sha256=_digest(token), name=name, tenant=tenant or id, created_at=now, **fields)
        self._write(key)
        return key, token

    def raw(self) -> dict[bytes, bytes]:
        """Every key by its id, as JSON: one round trip, and nothing parsed that nobody asks for."""
        return cast(dict[bytes, bytes], self.redis.hgetall(keys.API_KEYS))

    def all(self) -> list[ApiKey]:
        """Oldest first."""
        return sorted(map(read, self.raw().values()), key=lambda key: key.created_at)

    def exist(self) -> bool:
        """Whether there is any, of whatever state."""
        return bool(self.redis.hlen(keys.API_KEYS))

    def revoke(self, id: str) -> ApiKey | None:
        """End it for good; None when there is none of this id."""
        found = cast("bytes | None", self.redis.hget(keys.API_KEYS, id))
        if found is None:
            return None
        key = read(found)
        if key.revoked_at is None:
            key = key.model_copy(update={"revoked_at": datetime.now(UTC)})
            self._write(key)
        return key

    def note_use(self, id: str) -> None:
        """Remember that it was used now."""
        self.redis.hset(keys.API_KEYS_USED, id, str(int(time.time())))

    def last_used(self) -> dict[str, datetime]:
        """When each was used last, to about a minute; keys that never were are not in it."""
        found = cast(Mapping[bytes, bytes], self.redis.hgetall(keys.API_KEYS_USED))
        return {id.decode(): datetime.fromtimestamp(int(at), UTC) for id, at in found.items()}

    def _write(self, key: ApiKey) -> None:
        self.redis.hset(keys.API_KEYS, key.id, key.model_dump_json())


def read(raw: bytes) -> ApiKey:
    return ApiKey.model_validate_json(raw)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
