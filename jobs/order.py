"""What is asked of the queue: generations, on whose account, under which terms; and why it may decline."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.record import Record, Status
from jobs.request import GenerationRequest
from jobs.webhook import Delivery

PRIORITIES = ("high", "normal", "low")
"""In the order in which those who wait are served."""


@dataclass(frozen=True, slots=True)
class Order:
    """One generation: a resolved request, and the network evaluations planned for all its images."""

    request: GenerationRequest
    nfe_total: int = 0

    @property
    def rank(self) -> int:
        """Place of its priority in line."""
        return PRIORITIES.index(self.request.priority)

    @property
    def crew(self) -> str:
        """The models that one worker must serve to run it, a line each."""
        return "\n".join(sorted({self.request.model, *self.request.guidance.companions}))

    def fields(self, id: str) -> dict[str, str]:
        """Of the record, as it is created."""
        fields = {
            "id": id,
            "request": self.request.model_dump_json(),
            "steps": str(self.request.sampler.steps),
            "nfe_total": str(self.nfe_total),
            "rank": str(self.rank),
            "crew": self.crew,
        }
        if self.request.webhook:
            fields |= {"delivery": Delivery().model_dump_json(), "receiver": self.request.webhook.receiver}
        return fields

    def record(self, id: str, **known: Any) -> Record:
        """The record, just created, with what else is `known`: it is what its hash would be read as."""
        return Record(
            id=id,
            status=Status.QUEUED,
            request=self.request,
            steps=self.request.sampler.steps,
            nfe_total=self.nfe_total,
            crew=self.crew,
            delivery=Delivery() if self.request.webhook else None,
            seq=1,
            **known,
        )


@dataclass(frozen=True, slots=True)
class Once:
    """An idempotency key: the same key and body again give what the first gave."""

    key: str
    fingerprint: str
    """Of the body that came with it."""

    @classmethod
    def of(cls, key: str, body: str) -> Once:
        """`body` is a canonical form of the request."""
        return cls(key, hashlib.sha256(body.encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class Terms:
    """On whose account, and how long it may take."""

    tenant: str = ""
    once: Once | None = None
    cancel_after: float | None = None
    """Seconds after which it ends wherever it stands: expired if it waits, canceled if it runs."""
    max_active: int | None = None
    """Generations that the tenant may have queued and running, these included."""
    max_waiting: int | None = None
    """Network evaluations that may wait, these included; None: as the settings say."""
    quota: int | None = None
    """Network evaluations that the tenant may have accepted in one day (UTC), these included."""


ANYONE = Terms()
"""Where nothing was asked for, and nobody is told apart."""


@dataclass(frozen=True, slots=True)
class Parent:
    """What several generations were ordered as: written with them, kept until the last of them expires."""

    id: str
    key: str
    """Of the hash that it is kept in."""
    index: str
    """Sorted set that its id goes into."""
    fields: Mapping[str, str]

    def above(self, generations: Sequence[str]) -> dict[str, Any]:
        """As it is written: what it has of its own, and the ids of its generations."""
        fields = {"id": self.id, "generations": json.dumps(generations), **self.fields}
        return {"id": self.id, "key": self.key, "index": self.index, "fields": fields}


class Repeated(Exception):
    """The idempotency key was used before: what came of it, and the fingerprint of that body."""

    def __init__(self, resource: str, fingerprint: str) -> None:
        super().__init__(resource)
        self.resource, self.fingerprint = resource, fingerprint


class QueueFull(Exception):
    """As many generations, or network evaluations, wait as may."""

    def __init__(self, generations: int, evaluations: int) -> None:
        super().__init__(f"{generations} generations of {evaluations} evaluations wait")
        self.generations, self.evaluations = generations, evaluations


class TooManyActive(Exception):
    """The tenant has as many generations under way as it may."""

    def __init__(self, active: int) -> None:
        super().__init__(f"{active} generations are under way")
        self.active = active


class QuotaExceeded(Exception):
    """The tenant has had as many network evaluations accepted as it may in a day."""

    def __init__(self, spent: int, seconds: int) -> None:
        super().__init__(f"{spent} evaluations were accepted; the quota renews in {seconds} s")
        self.spent, self.seconds = spent, seconds


DONE, REPEATED, FULL, TOO_MANY, SPENT = range(1, 6)
"""What the script of `jobs.transitions` answers to the creation of generations."""


def insist_on_done(answer: Sequence[Any]) -> None:
    """Raise what the answer to a creation says, unless it was done."""
    code, *details = answer
    if code == REPEATED:
        raise Repeated(details[0].decode(), details[1].decode())
    if code != DONE:
        raise {FULL: QueueFull, TOO_MANY: TooManyActive, SPENT: QuotaExceeded}[code](*map(int, details))
