"""The right to run a generation."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.record import Record
from jobs.request import GenerationRequest


def new_token() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Attempt:
    """The right to run a generation: whoever holds the token may report, until it ends or is handed on."""

    token: str
    record: Record
    """As it stood when the attempt began."""

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def number(self) -> int:
        return self.record.attempts

    @property
    def request(self) -> GenerationRequest:
        return self.record.request

    @property
    def deadline_at(self) -> datetime | None:
        return self.record.deadline_at

    @classmethod
    def begun(cls, token: str, answer: Sequence[Any]) -> Attempt:
        """From what the script answers of a start: the record, name and value in turn."""
        [fields] = answer
        return cls(token, Record.from_hash(dict(zip(fields[::2], fields[1::2], strict=True))))
