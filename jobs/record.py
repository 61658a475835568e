"""The record of a generation: what Redis knows of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from jobs.correlation import Correlation
from jobs.request import GenerationRequest
from jobs.webhook import Delivery


class Status(StrEnum):
    """States of a generation. The last four are terminal: they never change again."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.EXPIRED})


class StoredImage(BaseModel):
    """One finished image, whose bytes are the artifact `jobs.artifacts.image_key(id, index, format)`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: int
    seed: int
    sha256: str
    width: int
    height: int
    format: str = "png"


class Usage(BaseModel):
    """What a generation took, measured by the worker."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nfe: int = 0
    mean_batch_rows: float | None = None


class Failure(BaseModel):
    """Why a generation failed: a stable code and a sentence for the client. Never a stack trace."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    detail: str
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """What waits: generations, and the network evaluations planned for them."""

    generations: int
    evaluations: int

    @classmethod
    def of(cls, found: Mapping[bytes, bytes]) -> Load:
        """Read what `HGETALL` answered."""
        return cls(int(found.get(b"generations", 0)), int(found.get(b"evaluations", 0)))


class Record(BaseModel):
    """A generation as its Redis hash holds it. Times are UTC, by the clock of Redis."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)  # errors get logged, and it holds prompts

    id: str
    tenant: str = ""
    """Whose it is; empty where the service is open to all."""
    status: Status
    status_reason: str | None = None
    request: GenerationRequest
    """Resolved: every default is filled in."""
    created_at: datetime
    first_started_at: datetime | None = None
    started_at: datetime | None = None
    """When the attempt that runs, or ran last, began."""
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    """From when on the stored bytes are no longer given out, and may be removed."""
    attempts: int = 0
    losses: int = 0
    """Attempts whose worker fell silent."""
    worker: str | None = None
    crew: str = ""
    """The models that one worker must serve to run it, a line each."""
    cancel_requested: str | None = None
    """Why it was asked to end: user, deadline."""
    deadline_at: datetime | None = None
    """When it ends wherever it stands."""
    step: int = 0
    steps: int = 0
    nfe_done: int = 0
    nfe_total: int = 0
    seconds_left: float | None = None
    """Until its end, when its worker last told how far it is: if nothing joins it there."""
    seconds_left_crowded: float | None = None
    """The same if others take the places of those that end."""
    told_at: datetime | None = None
    checkpoint: int | None = None
    """The attempt whose checkpoint is the latest, as long as there is one."""
    images: tuple[StoredImage, ...] = ()
    diagnostics: dict[str, Any] | None = None
    """The summary; the per-step columns are an artifact."""
    usage: Usage = Usage()
    error: Failure | None = None
    delivery: Delivery | None = None
    """Of the webhook; None where none was asked for."""
    request_id: str | None = None
    """Of the HTTP request that made it, as are the next two."""
    traceparent: str | None = None
    tracestate: str | None = None
    seq: int = 0
    """Number of the last event."""
    position: int | None = None
    """How many waited before it for the same workers, when it was read; None where it did not wait."""
    load: Load | None = None
    """What waited in all then; None where it had ended."""

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def correlation(self) -> Correlation:
        return Correlation(self.request_id, self.id, self.tenant or None, self.traceparent, self.tracestate)

    @property
    def expired(self) -> bool:
        """Whether its bytes are no longer given out, be they removed already or not."""
        return self.expires_at is not None and datetime.now(UTC) >= self.expires_at

    @property
    def queue_seconds(self) -> float | None:
        """Seconds between its acceptance and its first start."""
        return _between(self.created_at, self.first_started_at)

    @property
    def run_seconds(self) -> float | None:
        """Seconds that the last attempt ran; None until it ended."""
        return _between(self.started_at, self.finished_at)

    @classmethod
    def from_hash(cls, fields: Mapping[bytes, bytes], position: int | None = None, load: Load | None = None) -> Record:
        """Read what `HGETALL` answered. Its place in line, and what else waits, are kept elsewhere."""
        over = fields.get(b"status", b"").decode() in TERMINAL
        values: dict[str, Any] = {"position": position, "load": None if over else load}
        for key, raw in fields.items():
            name, text = key.decode(), raw.decode()
            if name in cls.model_fields:
                values[name] = _READ.get(name, str)(text)
        return cls.model_validate(values)


def _between(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end else None


def as_time(text: str | bytes) -> datetime:
    """Of seconds since 1970, as the hash holds it."""
    return datetime.fromtimestamp(float(text), UTC)


TIMES = ("created_at", "deadline_at", "first_started_at", "started_at", "finished_at", "expires_at", "told_at")
_READ: dict[str, Any] = {
    **dict.fromkeys(TIMES, as_time),
    **dict.fromkeys(("request", "images", "diagnostics", "usage", "error", "delivery"), json.loads),
}
