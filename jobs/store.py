"""The job store: every read and every change of a generation's record."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import redis
from redis.client import Pipeline
from redis.commands.core import Script

from jobs import keys, queue
from jobs.ids import is_id, least_id, made_at, new_id
from jobs.record import TERMINAL, Failure, Record, Status, StoredImage, Usage
from jobs.request import GenerationRequest
from jobs.settings import Settings

TRANSITION = Path(__file__).with_name("transition.lua").read_text()


@dataclass(frozen=True, slots=True)
class Attempt:
    """The right to run a generation: whoever holds the token may report, until it ends or is handed on."""

    token: str
    number: int
    request: GenerationRequest


@dataclass(frozen=True, slots=True)
class Page:
    """Generations, newest first. `next_cursor` is the `after` of the next page, None on the last."""

    records: list[Record]
    next_cursor: str | None


class JobStore:
    """For threads. Every change is one atomic step of `transition.lua`, which also appends the event."""

    def __init__(self, connection: redis.Redis, settings: Settings) -> None:
        self.redis = connection
        self.settings = settings
        self._queue = queue.queue(connection)
        self._script: Script = connection.register_script(TRANSITION)

    # What the gateway does

    def create(
        self, request: GenerationRequest, nfe_total: int = 0, origin: Mapping[str, str] | None = None
    ) -> Record:
        """Accept a resolved request: its record, its place in the queue and its first event, all or nothing.

        `nfe_total` is the number of network evaluations planned for all its images; `origin` is what it keeps of
        the HTTP request that made it (`Correlation.origin`).
        """
        id = new_id()
        fields = {
            "id": id,
            "request": request.model_dump_json(),
            "steps": str(request.sampler.steps),
            "nfe_total": str(nfe_total),
            **(origin or {}),
        }
        with self.redis.pipeline(transaction=True) as pipeline:
            queue.enqueue(pipeline, self._queue, id, attempt=1)
            self._step("create", id, fields=fields, client=pipeline)
            self._forget_old(pipeline)
            pipeline.hgetall(keys.generation(id))
            return Record.from_hash(pipeline.execute()[-1])

    def get(self, id: str) -> Record | None:
        """The record; None when there is none, or no longer."""
        fields = cast(Mapping[bytes, bytes], self.redis.hgetall(keys.generation(id))) if is_id(id) else {}
        return Record.from_hash(fields) if fields else None

    def page(self, limit: int = 20, after: str | None = None, status: Status | None = None) -> Page:
        """Up to `limit` generations older than the id `after`, newest first."""
        index = keys.index(status) if status else keys.INDEX
        below = f"({after}" if after else "+"
        found = cast(list[bytes], self.redis.zrevrangebylex(index, below, "-", 0, limit + 1))
        ids = [id.decode() for id in found]
        records = self._records(ids[:limit])
        if status:  # one may have moved on since the index was read
            records = [record for record in records if record.status == status]
        return Page(records, ids[limit - 1] if len(ids) > limit else None)

    def position(self, id: str) -> int | None:
        """How many generations wait before this one; None when it does not wait."""
        return cast("int | None", self.redis.zrank(keys.index(Status.QUEUED), id))

    def counts(self) -> dict[Status, int]:
        """How many generations there are in each status."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for status in Status:
                pipeline.zcard(keys.index(status))
            return dict(zip(Status, pipeline.execute(), strict=True))

    def queued(self) -> int:
        """How many generations wait."""
        return self.redis.zcard(keys.index(Status.QUEUED))

    def oldest_waiting(self) -> datetime | None:
        """When the first of those that wait was accepted, by the clock of its gateway; None when none waits."""
        first = cast(list[bytes], self.redis.zrange(keys.index(Status.QUEUED), 0, 0))
        return made_at(first[0].decode()) if first else None

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

    def start(self, id: str, worker: str) -> Attempt | None:
        """Begin an attempt; None when the generation does not wait (it ended, runs, or is unknown)."""
        token = secrets.token_hex(8)
        done, *answer = self._step("start", id, token, fields={"worker": worker})
        if not done:
            return None
        number, request = answer
        return Attempt(token, int(number), GenerationRequest.model_validate_json(request))

    def progress(
        self, id: str, token: str, *, step: int, steps: int, nfe_done: int, nfe_total: int, **more: Any
    ) -> bool:
        """Note how far it is, with a `step` event that carries `more` too. False: stop, the attempt is over.

        Events closer together than `step_event_seconds` are left out, except for the last step's.
        """
        numbers = {"step": step, "steps": steps, "nfe_done": nfe_done, "nfe_total": nfe_total}
        fields = {name: str(number) for name, number in numbers.items()}
        data = json.dumps({**numbers, **more})
        return bool(self._step("progress", id, token, fields=fields, data=data, last=step >= steps)[0])

    def event(self, id: str, token: str, type: str, data: Mapping[str, Any]) -> bool:
        """Append a `preview` or `image` event. False: stop, the attempt is over."""
        return bool(self._step("event", id, token, type=type, data=json.dumps(data))[0])

    def finish(
        self,
        id: str,
        token: str,
        status: Status,
        *,
        reason: str | None = None,
        images: Iterable[StoredImage] = (),
        diagnostics: Mapping[str, Any] | None = None,
        usage: Usage | None = None,
        error: Failure | None = None,
        totals: Mapping[str, float] | None = None,
    ) -> bool:
        """End it for good. True: the record says so (also when this very report had arrived before).

        `diagnostics` is the summary that the job shows; the columns belong in the artifact. `totals` are added to
        those of the service (`jobs.totals`), once.
        """
        if status not in TERMINAL:
            raise ValueError(f"status = {status}: only {', '.join(sorted(TERMINAL))} end a generation")
        fields = {"images": json.dumps([image.model_dump() for image in images])}
        if diagnostics is not None:
            fields["diagnostics"] = json.dumps(diagnostics)
        counters = dict(totals or {})
        if usage is not None:
            fields["usage"] = usage.model_dump_json()
            counters["nfe"] = usage.nfe
        if error is not None:
            fields["error"] = error.model_dump_json()
            counters[f"error:{error.code}"] = 1
        options: dict[str, Any] = {"reason": reason} if reason is not None else {}
        return bool(self._step("finish", id, token, status=status, fields=fields, counters=counters, **options)[0])

    def canceling(self, ids: Sequence[str]) -> set[str]:
        """Which of these were asked to cancel; one round trip."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for id in ids:
                pipeline.hexists(keys.generation(id), "cancel_requested")
            return {id for id, asked in zip(ids, pipeline.execute(), strict=True) if asked}

    def hand_back(self, id: str, token: str, reason: str = "shutdown") -> bool:
        """Put a running generation back in the queue, for another worker. False when the attempt was over already."""
        record = self.get(id)
        if record is None:
            return False
        with self.redis.pipeline(transaction=True) as pipeline:
            # Queued in the same transaction, so that it cannot be lost; without effect if the step is refused.
            queue.enqueue(pipeline, self._queue, id, attempt=record.attempts + 1)
            self._step("hand_back", id, token, reason=reason, client=pipeline)
            return bool(pipeline.execute()[-1][0])

    # How

    def _step(
        self, operation: str, id: str, token: str = "", *, client: Pipeline | None = None, **options: Any
    ) -> list[Any]:
        options |= {
            "max_events": self.settings.max_events,
            "result_ttl": self.settings.result_ttl_seconds,
            "record_ttl": max(self.settings.record_ttl_seconds, self.settings.result_ttl_seconds),
            "step_event": self.settings.step_event_seconds,
        }
        answer = self._script(
            keys=[keys.generation(id), keys.events(id), keys.INDEX, keys.COUNTERS],
            args=[operation, id, token, json.dumps(options)],
            client=client,
        )
        return cast(list[Any], answer)

    def _records(self, ids: Sequence[str]) -> list[Record]:
        with self.redis.pipeline(transaction=False) as pipeline:
            for id in ids:
                pipeline.hgetall(keys.generation(id))
            return [Record.from_hash(fields) for fields in pipeline.execute() if fields]

    def _forget_old(self, pipeline: Pipeline) -> None:
        """Take ids out of the indexes whose records must have expired, so that the indexes stay bounded."""
        oldest = least_id(time.time() - 2 * self.settings.record_ttl_seconds)
        for index in (keys.INDEX, *(keys.index(status) for status in TERMINAL)):
            pipeline.zremrangebylex(index, "-", f"({oldest}")
