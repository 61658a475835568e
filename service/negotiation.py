"""What a client wants, and what it has: the headers Accept, If-None-Match, Prefer and Cancel-After."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import Header

from service.pointers import shown
from service.problems import MEDIA_TYPE as PROBLEM
from service.problems import Refusal, invalid

MAX_WAIT_SECONDS = 60
CANCEL_AFTER_PATTERN = r"^([0-9]{1,7}(?:\.[0-9]{1,6})?)([smh]?)$"
MAX_CANCEL_AFTER_SECONDS = 7 * 86_400
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}

QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?", re.ASCII)
"""RFC 9110, 12.4.2. Anything else is read as 0: not wanted."""
ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')

Accept = Annotated[str | None, Header(include_in_schema=False)]
"""OpenAPI says what is offered under the responses, and ignores a parameter of this name."""

CancelAfter = Annotated[
    str | None,
    Header(
        alias="Cancel-After",
        description="such as 90s or 5m: after that time it ends wherever it stands, expired if it waits, canceled if "
        "it runs",
        json_schema_extra={"pattern": CANCEL_AFTER_PATTERN},
    ),
]


def choose(accept: str | None, offers: Sequence[str]) -> str:
    """The offer that `Accept` (RFC 9110, 12.5.1) likes best, the first of equals; or a refusal with 406.

    That problems are understood says nothing of what is wanted: some generated clients name no other type.
    """
    ranges = [wanted for part in (accept or "").split(",") if (wanted := _range(part))[0] not in ("", PROBLEM)]
    if not ranges:
        return offers[0]
    scored = [(_quality(offer, ranges), -place, offer) for place, offer in enumerate(offers)]
    quality, _, best = max(scored)
    if quality <= 0:
        raise Refusal(406, "not_acceptable", f"Accept = {accept!r} has none of {', '.join(offers)}")
    return best


def _range(part: str) -> tuple[str, float]:
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
    return media, float(quality) if QUALITY.fullmatch(quality) else 0.0


def _quality(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Of the most specific range that matches."""
    for pattern in (offer, f"{offer.partition('/')[0]}/*", "*/*"):
        if found := [quality for media, quality in ranges if media == pattern]:
            return max(found)
    return 0.0


def unchanged(etag: str, if_none_match: str | None) -> bool:
    """Whether the client has this representation already (RFC 9110, 13.1.2): weak tags count as strong ones."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag.removeprefix("W/") in ENTITY_TAG.findall(if_none_match)


def wait_seconds(prefer: str | None) -> int | None:
    """N of `Prefer: wait=N` (RFC 7240, 4.3), at most 60; None when it is not asked for."""
    for preference in (prefer or "").split(","):
        if found := re.fullmatch(r"\s*wait\s*=\s*\"?(\d{1,9})\"?\s*", preference.partition(";")[0]):
            return min(int(found[1]), MAX_WAIT_SECONDS)
    return None


def cancel_after_seconds(text: str | None) -> float | None:
    """N of `Cancel-After: Ns` (or Nm, Nh; N alone is seconds), or a refusal with 422; None when it is not given."""
    if text is None:
        return None
    found = re.fullmatch(CANCEL_AFTER_PATTERN, text)
    seconds = float(found[1]) * UNITS[found[2]] if found else 0.0
    if not 0 < seconds <= MAX_CANCEL_AFTER_SECONDS:
        detail = f"Cancel-After = {shown(text)}: a time such as 90s, 5m or 1h, above 0 and at most 168h"
        raise invalid("invalid_time", detail, pointer="/Cancel-After", location="header")
    return seconds
