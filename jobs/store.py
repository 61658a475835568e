"""The job store: every read and every change of a generation's record."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis
from pydantic import ValidationError

from jobs import keys, queue
from jobs.attempt import Attempt, new_token
from jobs.correlation import current
from jobs.ids import is_id, least_id, new_id
from jobs.order import ANYONE, Order, Parent, Repeated, Terms, insist_on_done
from jobs.record import TERMINAL, Failure, Load, Record, Status, as_time
from jobs.records import Records
from jobs.reports import Reports
from jobs.request import GenerationRequest
from jobs.settings import Settings
from jobs.transitions import Transitions

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """Generations, newest first. `next_cursor` is the `after` of the next page, None on the last."""

    records: list[Record]
    next_cursor: str | None


class JobStore(Reports):
    """For threads. Every change is one atomic step of a script, which also appends the event."""

    def __init__(self, connection: redis.Redis, settings: Settings) -> None:
        self.redis = connection
        self.settings = settings
        self._queue = queue.queue(connection)
        self._bells = queue.Bells(self._queue)
        self._step = Transitions(connection, settings)
        self._records = Records(connection)

    # What the gateway does

    def create(self, request: GenerationRequest, nfe_total: int = 0, terms: Terms = ANYONE) -> Record:
        """Accept one generation: see `create_all`."""
        [record] = self.create_all([Order(request, nfe_total)], terms)
        return record

    def create_all(self, orders: Sequence[Order], terms: Terms = ANYONE, parent: Parent | None = None) -> list[Record]:
        """Accept resolved requests: records, places in line and first events, all or nothing, in one step.

        A `parent` is written in the same step, and is what a repeated idempotency key finds; else the first generation.
        Raises Repeated, QueueFull, TooManyActive or QuotaExceeded.
        """
        ids = [new_id() for _ in orders]
        origin = current().origin
        answer = self._step(
            "create",
            ids[0],
            bell=self._bells.packed(),
            orders=[order.fields(id) | origin for id, order in zip(ids, orders, strict=True)],
            once=self._once(terms, parent.id if parent else ids[0]),
            parent=parent.above(ids) if parent else None,
            tenant=terms.tenant,
            cancel_after=terms.cancel_after,
            max_active=terms.max_active,
            quota=None if terms.quota is None else {"key": keys.quota(terms.tenant), "evaluations": terms.quota},
            max_queue=self.settings.max_queue,
            max_queue_evaluations=terms.max_waiting or self.settings.max_queue_evaluations,
            indexes=_indexes(terms.tenant) + ([parent.index] if parent else []),
            oldest=least_id(time.time() - 2 * self.settings.record_ttl_seconds),
        )
        insist_on_done(answer)
        if len(answer) == 1:  # it was sent twice, and had been done the first time
            return [record for record in self._records.generations(ids) if record]
        _, created_at, deadline_at, load, *positions = answer
        times = {"created_at": as_time(created_at), "deadline_at": as_time(deadline_at) if deadline_at else None}
        return [
            order.record(id, tenant=terms.tenant, position=position, load=Load(*load), **times, **origin)
            for id, order, position in zip(ids, orders, positions, strict=True)
        ]

    def repeated(self, terms: Terms) -> Repeated | None:
        """What the idempotency key was used for before, if it was."""
        if terms.once is None:
            return None
        found = cast(Mapping[bytes, bytes], self.redis.hgetall(keys.once(terms.tenant, terms.once.key)))
        return Repeated(found[b"resource"].decode(), found[b"fingerprint"].decode()) if found else None

    def expire(self, id: str) -> None:
        """End it if the time that its client set is over."""
        self._step("expire", id)

    def load(self) -> Load:
        """What waits."""
        return Load.of(cast(Mapping[bytes, bytes], self.redis.hgetall(keys.LOAD)))

    def get(self, id: str) -> Record | None:
        """The record; None when there is none, or no longer."""
        return self._records.generations([id])[0] if is_id(id) else None

    def page(
        self, limit: int = 20, after: str | None = None, status: Status | None = None, tenant: str | None = None
    ) -> Page:
        """Up to `limit` generations older than the id `after`, newest first: of one tenant, or None for all."""
        index = keys.index(status or "", tenant)
        below = f"({after}" if after else "+"
        found = cast(list[bytes], self.redis.zrevrangebylex(index, below, "-", 0, limit + 1))
        ids = [id.decode() for id in found]
        records = [record for record in self._records.generations(ids[:limit]) if record]
        if status:  # one may have moved on since the index was read
            records = [record for record in records if record.status == status]
        return Page(records, ids[limit - 1] if len(ids) > limit else None)

    def oldest(self, tenant: str) -> Record | None:
        """What the tenant has had under way for longest: one that runs, else one that waits."""
        for status in (Status.RUNNING, Status.QUEUED):
            if found := cast(list[bytes], self.redis.zrange(keys.index(status, tenant), 0, 0)):
                return self.get(found[0].decode())
        return None

    def counts(self) -> dict[Status, int]:
        """How many generations there are in each status."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for status in Status:
                pipeline.zcard(keys.index(status))
            return dict(zip(Status, pipeline.execute(), strict=True))

    def counters(self) -> dict[str, float]:
        """Totals since the beginning: `created`, `finished:{status}`, `error:{code}`, `nfe`, ..."""
        totals = cast(Mapping[bytes, bytes], self.redis.hgetall(keys.COUNTERS))
        return {name.decode(): float(total) for name, total in totals.items()}

    def cancel(self, id: str) -> Record | None:
        """End it if it waits; ask its worker to end it if it runs; leave it if it ended. None when unknown."""
        if not is_id(id):
            return None
        self._step("cancel", id, reason="user")
        return self.get(id)

    # What a worker does

    def claim(
        self, worker: str, models: Iterable[str], token: str | None = None, express: bool = False
    ) -> Attempt | int:
        """Begin an attempt at the first in line that needs no more than `models`, and that may join what runs here.

        Else how many wait, for other workers or for later. Asked twice with one token it begins one attempt. `express`:
        only a short one, whoever waits before it.
        """
        token, serves = token or new_token(), list(models)
        while True:
            fields = {"worker": worker}
            done, *answer = self._step("claim", "", token, serves=serves, fields=fields, express=express or None)
            if not done:
                return int(answer[0])
            try:
                return Attempt.begun(token, answer)
            except ValidationError as error:
                self._refuse(token, answer, error)

    def _refuse(self, token: str, answer: Sequence[Any], error: ValidationError) -> None:
        """End what a gateway of another version accepted and this worker cannot read: no other attempt would."""
        [fields] = answer
        id = dict(zip(fields[::2], fields[1::2], strict=True))[b"id"].decode()
        log.error("generation %s cannot be read: %s", id, error)
        detail = "the worker's version cannot read this request, which a gateway of another version accepted"
        failure = Failure(code="unreadable", detail=detail, retryable=True)
        self.finish(id, token, Status.FAILED, reason="unreadable", error=failure)

    def start(self, id: str, worker: str) -> Attempt | None:
        """Begin an attempt at this one; None when it does not wait (it ended, runs, or is unknown)."""
        done, *answer = self._step("start", id, token := new_token(), fields={"worker": worker})
        return Attempt.begun(token, answer) if done else None

    def ring(self, times: int = 1) -> None:
        """Wake as many workers: something waits that nobody has heard of, or that who looked may not have."""
        if times:
            self._wake([new_id() for _ in range(times)])

    def unheard(self) -> int:
        """How many more wait than there are bells. They get lost with workers, and stay when who waited is canceled."""
        return self.load().generations - int(self._queue.count)

    def hush(self, times: int) -> None:
        """Take bells away that nobody would come for."""
        queue.hush(self._queue, times)

    # How

    def _wake(self, names: Iterable[str]) -> None:
        with self.redis.pipeline(transaction=True) as pipeline:
            for name in names:
                queue.ring(pipeline, self._queue, name)
            pipeline.execute()

    def _once(self, terms: Terms, resource: str) -> dict[str, Any] | None:
        if terms.once is None:
            return None
        return {
            "key": keys.once(terms.tenant, terms.once.key),
            "resource": resource,
            "fingerprint": terms.once.fingerprint,
            "seconds": self.settings.idempotency_seconds,
        }


def _indexes(tenant: str) -> list[str]:
    """Those that grow until what they hold is forgotten."""
    return [keys.index(status, owner) for owner in (None, tenant) for status in ("", *TERMINAL)]
