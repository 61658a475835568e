"""A comparison: generations of one prompt and its seeds under many specs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from jobs.record import Record, Status


class ComparisonStatus(StrEnum):
    """What the states of its generations come to. The last five are terminal."""

    QUEUED = "queued"
    """None has begun."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    """All of them."""
    PARTIAL = "partial"
    """All have ended, and some succeeded."""
    FAILED = "failed"
    """None succeeded, and some failed."""
    CANCELED = "canceled"
    """None succeeded or failed, and some were canceled."""
    EXPIRED = "expired"
    """No generation began before its deadline."""


class Axis(BaseModel):
    """A parameter that a grid varies."""

    model_config = ConfigDict(frozen=True)

    pointer: str
    name: str
    values: tuple[str, ...]
    """As they are shown."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """As it stands: `records` are its generations, one for each of its `labels`. A grid's last axis varies fastest."""

    id: str
    tenant: str
    created_at: datetime
    labels: tuple[str, ...]
    axes: tuple[Axis, ...]
    records: tuple[Record, ...]

    @property
    def terminal(self) -> bool:
        return all(record.terminal for record in self.records)

    @property
    def status(self) -> ComparisonStatus:
        found = {record.status for record in self.records}
        if not self.terminal:
            return ComparisonStatus.QUEUED if found == {Status.QUEUED} else ComparisonStatus.RUNNING
        if found > {Status.SUCCEEDED}:
            return ComparisonStatus.PARTIAL
        least = (Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.EXPIRED)
        return ComparisonStatus(next(status for status in least if status in found))

    @property
    def started_at(self) -> datetime | None:
        return min(_known(record.first_started_at for record in self.records), default=None)

    @property
    def finished_at(self) -> datetime | None:
        """When the last of them ended."""
        return max(_known(record.finished_at for record in self.records)) if self.terminal else None

    @property
    def expires_at(self) -> datetime | None:
        """When the first stored bytes may be removed; None while some are still to come."""
        return min(_known(record.expires_at for record in self.records)) if self.terminal else None

    @property
    def expired(self) -> bool:
        """Whether stored bytes may be gone."""
        return any(record.expired for record in self.records)

    @property
    def version(self) -> str:
        """Another one whenever something has happened to one of them."""
        state = ",".join(f"{record.seq}-{record.nfe_done}" for record in self.records)
        return hashlib.sha256(state.encode()).hexdigest()[:32]


def _known(times: Iterable[datetime | None]) -> list[datetime]:
    return [time for time in times if time is not None]
