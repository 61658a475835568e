"""Identifiers that sort by the time they were made."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import uuid_utils

ID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
"""Pattern of an id."""


def new_id() -> str:
    """A UUID version 7 (RFC 9562) in lower case: a later one is greater, as a string too."""
    return str(uuid_utils.uuid7())


def is_id(text: str) -> bool:
    """Whether `text` has the form of an id, and so may be part of a key or a path."""
    return re.fullmatch(ID, text) is not None


def made_at(id: str) -> datetime:
    """When an id was made, to the millisecond, by the clock of who made it."""
    return datetime.fromtimestamp(int(id.replace("-", "")[:12], 16) / 1000, UTC)


def least_id(seconds: float) -> str:
    """A string that sorts before every id made at or after `seconds` of the Unix epoch and after every earlier one."""
    digits = f"{max(0, int(seconds * 1000)):012x}"
    return f"{digits[:8]}-{digits[8:]}"
