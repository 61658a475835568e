"""The function that RQ calls: one generation from its record to its images."""

from __future__ import annotations

import base64
import contextlib
import logging
import time
from collections.abc import Callable
from queue import Empty
from typing import Any, TypeVar

from jobs.artifacts import StorageAway
from jobs.attempt import Attempt, new_token
from jobs.connection import AWAY
from jobs.correlation import correlated
from jobs.encoding import encode
from jobs.record import Failure, Status, StoredImage
from jobs.record import Usage as RecordedUsage
from workers.checkpoint import Checkpoint
from workers.delivery import overview, shrunk
from workers.deposit import Deposit
from workers.keeper import Keeper
from workers.runtime import Runtime
from workers.tally import tally
from workers.task import Outcome, Preview, Progress, Task, Usage

log = logging.getLogger(__name__)

T = TypeVar("T")
UNSTORED = "the images were made, and the store could not be used to keep them"
RETRYABLE = {"out_of_memory", "internal", "storage_away"}
REDIS_RETRY_SECONDS = 0.5
PASS_ON_SECONDS = 1.0
"""Before a bell for another worker's model rings again, so that it does not circle."""
PREVIEW_PIXELS = 256
"""Longest side of a preview: it travels in the event stream."""


def perform() -> None:
    """Run the first generation in line, if any; its record says how it ended. In a thread of a worker process."""
    runtime = Runtime.current
    if runtime.leaving.is_set():  # heard just before: somebody else shall hear it
        insist(runtime.store.ring)
        return
    found = claim(runtime)
    if isinstance(found, Attempt):
        carry_out(runtime, found)
    elif found:  # the bell was for others, or for later: it is heard when it rings again
        runtime.stopping.wait(PASS_ON_SECONDS)
        insist(runtime.store.ring)


def claim(runtime: Runtime, express: bool = False) -> Attempt | int:
    """The first in line as an attempt of this worker; else how many wait."""
    token = new_token()
    return insist(lambda: runtime.store.claim(runtime.worker_id, runtime.engine.models, token, express))


def carry_out(runtime: Runtime, attempt: Attempt) -> None:
    """Run it, whatever happens to it."""
    with correlated(attempt.record.correlation):
        performance = Performance(runtime, attempt)
        try:
            performance.run()
        except Exception:
            log.exception("generation failed outside of the engine")
            performance.fail()


def insist(report: Callable[[], T]) -> T:
    """Do it as soon as Redis is there: what was sampled is not lost to a restart of Redis."""
    said = ""
    while True:
        try:
            return report()
        except AWAY as error:
            if str(error) != said:  # such as a wrong password: it is waited for all the same
                said = str(error)
                log.warning("Redis is away: %s", said)
            time.sleep(REDIS_RETRY_SECONDS)


class Performance:
    """One attempt: carries updates from the engine to the record."""

    def __init__(self, runtime: Runtime, attempt: Attempt) -> None:
        self.runtime, self.id, self.attempt = runtime, attempt.id, attempt
        self.store, self.token = runtime.store, attempt.token
        self.began = time.monotonic()
        deadline = self.began + runtime.settings.run_seconds
        self.task = Task(attempt.id, attempt.request, deadline, attempt.record.correlation.labels)
        model = runtime.engine.models[attempt.request.model]
        self.keeper = Keeper(runtime.checkpoints, self.store, attempt, model)

    def run(self) -> None:
        record = self.attempt.record
        model, attempt, origin = record.request.model, record.attempts, record.correlation.origin
        said = {"model": model, "attempt": attempt, "wait_seconds": record.queue_seconds}
        log.info("generation started", extra=said)
        if attempt == 1 and record.started_at is not None:  # when it was handed back is not on record
            self.runtime.tracing.past("generation queue", origin, record.created_at, record.started_at)
        with self.runtime.tracing.span("generation run", origin) as span, self.runtime.in_flight(self.token, self.task):
            span.set(generation_id=self.id, model=model, attempt=attempt)
            self._resume()
            outcome = self._sample()
            if outcome.status == "released":
                recorded = insist(lambda: self.store.hand_back(self.id, self.token))
            else:
                outcome, images = self._store(outcome)
                recorded = self._finish(outcome, images)
                if recorded:
                    self.keeper.forget()
            span.set(status=outcome.status, reason=outcome.reason)
            if outcome.status == "failed":
                span.fail(outcome.reason or "internal")
        self._say_end(outcome, recorded)

    def _resume(self) -> None:
        settings = self.runtime.settings
        self.task.checkpoint_seconds = settings.checkpoint_seconds
        self.task.checkpoint_bytes = settings.checkpoint_bytes
        self.task.resumes = self.keeper.latest()
        if self.task.resumes:
            log.info("generation goes on from a checkpoint")

    def fail(self) -> None:
        """End it where the fault is ours: to try again would be to fail again."""
        self.task.canceled.set()
        self._finish(Outcome("failed", reason="internal", detail="it failed after sampling; see the worker's log"), [])

    def _sample(self) -> Outcome:
        with self.runtime.tracing.span("sample") as span:
            self.runtime.engine.submit(self.task)
            outcome = self._follow()
            usage = outcome.usage or Usage(0, 0.0, 0.0)
            span.set(evaluations=usage.nfe, mean_batch_rows=usage.mean_batch_rows)
            span.set(steps=self.task.request.sampler.steps, images=self.task.request.n)
        return outcome

    def _say_end(self, outcome: Outcome, recorded: bool) -> None:
        seconds, nfe = time.monotonic() - self.began, outcome.usage.nfe if outcome.usage else 0
        said = {"status": outcome.status, "reason": outcome.reason, "seconds": seconds, "evaluations": nfe}
        extra = {name: value for name, value in said.items() if value is not None}
        if recorded:
            log.info("generation ended", extra=extra)
        else:
            log.warning("generation ended after its attempt was over: without effect", extra=extra)

    def _follow(self) -> Outcome:
        while True:
            updates = self._pending()
            latest = [update for update in updates if isinstance(update, Progress)][-1:]
            for update in (*latest, *(update for update in updates if not isinstance(update, Progress))):
                if isinstance(update, Outcome):
                    return update
                self._report(update)

    def _pending(self) -> list[Progress | Preview | Checkpoint | Outcome]:
        """Wait for an update; take all there are."""
        updates = [self.task.updates.get()]
        try:
            while True:
                updates.append(self.task.updates.get_nowait())
        except Empty:
            return updates

    def _report(self, update: Progress | Preview | Checkpoint) -> None:
        """Send a report that may be missed. Refused means that the attempt is over: stop sampling."""
        try:
            if not self._sent(update):
                self.task.canceled.set()
        except AWAY:
            log.debug("a report of %s was missed", self.id)

    def _sent(self, update: Progress | Preview | Checkpoint) -> bool:
        if isinstance(update, Progress):
            return self._progress(update)
        return self._preview(update) if isinstance(update, Preview) else self.keeper.keep(update)

    def _progress(self, progress: Progress) -> bool:
        return self.store.progress(
            self.id,
            self.token,
            step=progress.step,
            steps=progress.steps,
            nfe_done=progress.nfe_done,
            nfe_total=progress.nfe_total,
            seconds_left=self.runtime.forecast.left(self.id),
        )

    def _preview(self, preview: Preview) -> bool:
        data = base64.b64encode(encode(shrunk(preview.pixels, PREVIEW_PIXELS), "png")).decode()
        return self.store.event(
            self.id, self.token, "preview", {"index": preview.index, "step": preview.step, "b64_png": data}
        )

    def _finish(self, outcome: Outcome, images: list[StoredImage]) -> bool:
        """After the bytes are stored, so that a record that says succeeded has them. False: the attempt was over."""
        seconds, nfe = time.monotonic() - self.began, outcome.usage.nfe if outcome.usage else 0
        return insist(
            lambda: self.store.finish(
                self.id,
                self.token,
                Status(outcome.status),
                reason=outcome.reason,
                images=images,
                diagnostics=overview(outcome) if self.attempt.request.diagnostics != "off" else None,
                usage=_usage(outcome),
                error=_failure(outcome),
                totals=tally(self.attempt.record, seconds, nfe),
            )
        )

    def _show(self, stored: list[StoredImage]) -> None:
        with contextlib.suppress(*AWAY):  # the end of the generation says it again
            self.store.show(self.id, self.token, stored)

    def _store(self, outcome: Outcome) -> tuple[Outcome, list[StoredImage]]:
        """What has become of it once its bytes are stored, or cannot be."""
        with self.runtime.tracing.span("store") as span:
            try:
                began = time.perf_counter()
                images = Deposit(self.runtime.artifacts, self.attempt, self._show).make(outcome)
                self.runtime.engine.meter.kept(self.attempt.request, len(images), time.perf_counter() - began)
            except StorageAway as error:
                log.error("generation could not be stored: %s", error)
                span.fail("storage_away")
                return Outcome("failed", (), outcome.usage, "storage_away", UNSTORED), []
        return outcome, images


def _usage(outcome: Outcome) -> RecordedUsage | None:
    if outcome.usage is None:
        return None
    return RecordedUsage(nfe=outcome.usage.nfe, mean_batch_rows=outcome.usage.mean_batch_rows)


def _failure(outcome: Outcome) -> Failure | None:
    if outcome.status != "failed":
        return None
    reason = outcome.reason or "internal"
    details: dict[str, Any] = {"code": reason, "detail": outcome.detail or reason, "retryable": reason in RETRYABLE}
    return Failure(**details)
