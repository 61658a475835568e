"""The secrets that webhooks are signed with: one per tenant, in the form of Standard Webhooks."""

from __future__ import annotations

import base64
import math
import secrets
from typing import cast

import redis
from redis.client import Pipeline

from jobs import keys

PREFIX = "whsec_"
SECRET_BYTES = 32
OVERLAP_SECONDS = 86_400
"""How long a secret goes on signing beside the one that replaced it."""


class SigningSecrets:
    """Made when first asked for, kept in Redis."""

    def __init__(self, connection: redis.Redis) -> None:
        self.redis = connection

    def current(self, tenant: str = "") -> str:
        """The secret to give to receivers."""
        return self.valid(tenant)[0]

    def valid(self, tenant: str = "") -> list[str]:
        """Every secret that signs now, newest first."""
        found = self._kept(tenant)
        if not found:
            self._replace(tenant, rotate=False)
            found = self._kept(tenant)
        return found

    def rotate(self, tenant: str = "") -> str:
        """A new secret; those before it sign beside it for a day."""
        self._replace(tenant, rotate=True)
        return self.current(tenant)

    def _kept(self, tenant: str) -> list[str]:
        found = cast(list[bytes], self.redis.zrevrangebyscore(keys.signing(tenant), math.inf, self._now()))
        return [secret.decode() for secret in found]

    def _replace(self, tenant: str, rotate: bool) -> None:
        key, now = keys.signing(tenant), self._now()

        def replace(pipeline: Pipeline) -> None:
            current = cast(list[bytes], pipeline.zrangebyscore(key, math.inf, math.inf))
            pipeline.multi()
            if current and not rotate:  # somebody else made the first one
                return
            pipeline.zremrangebyscore(key, -math.inf, now)
            for secret in current:
                pipeline.zadd(key, {secret: now + OVERLAP_SECONDS})
            pipeline.zadd(key, {PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode(): math.inf})

        self.redis.transaction(replace, key)

    def _now(self) -> float:
        seconds, microseconds = self.redis.time()
        return float(seconds) + microseconds / 1e6
