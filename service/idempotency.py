"""The header Idempotency-Key: the same key and body again give the same resource, and run nothing twice."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header
from pydantic import BaseModel

from jobs.order import Once, Repeated
from service.pointers import shown
from service.problems import Refusal, invalid

LONGEST_KEY = 255

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description=f"1 to {LONGEST_KEY} printable characters of the client's choice, remembered for a day: the same "
        "key and body again are answered with what the first made, and `Idempotent-Replayed: true`",
        json_schema_extra={"minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]+$"},
    ),
]
REPLAYED = {"Idempotent-Replayed": {"description": "true, when the key was used before", "schema": {"type": "string"}}}


def once(key: str | None, body: BaseModel) -> Once | None:
    """The key with the fingerprint of the body as it was understood; or a refusal with 422."""
    if key is None:
        return None
    if not (1 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        detail = f"Idempotency-Key = {shown(key)}: 1 to {LONGEST_KEY} printable ASCII characters"
        raise invalid("invalid_idempotency_key", detail, pointer="/Idempotency-Key", location="header")
    return Once.of(key, f"{type(body).__name__} {body.model_dump_json()}")


def replayed(repeated: Repeated, once: Once) -> str:
    """The id of what the first request with this key made; a refusal with 422 when that one was another."""
    if repeated.fingerprint != once.fingerprint:
        detail = "this Idempotency-Key came with another body before; a new request needs a new key"
        raise Refusal(422, "idempotency_key_reused", detail)
    return repeated.resource
