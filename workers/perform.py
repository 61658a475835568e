"""The function that RQ calls: one generation from its record to its images."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Callable
from queue import Empty
from typing import Any, TypeVar

from jobs.artifacts import StorageAway, diagnostics_key, image_key, picture_key
from jobs.connection import AWAY
from jobs.encoding import encode
from jobs.record import Failure, Status, StoredImage, Usage
from jobs.store import Attempt
from workers.delivery import document, drawn, encoded, overview, shrunk
from workers.runtime import Runtime
from workers.task import Outcome, Preview, Progress, Task

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
    found = insist(lambda: runtime.store.claim(runtime.worker_id, runtime.engine.models))
    if isinstance(found, Attempt):
        Performance(runtime, found).run()
    elif found:  # the bell was for others: they hear it when it rings again
        runtime.stopping.wait(PASS_ON_SECONDS)
        insist(runtime.store.ring)


def insist(report: Callable[[], T]) -> T:
    """Do it as soon as Redis is there: what was sampled is not lost to a restart of Redis."""
    while True:
        try:
            return report()
        except AWAY:
            time.sleep(REDIS_RETRY_SECONDS)


class Performance:
    """One attempt: carries updates from the engine to the record."""

    def __init__(self, runtime: Runtime, attempt: Attempt) -> None:
        self.runtime, self.id, self.attempt = runtime, attempt.id, attempt
        self.store, self.token = runtime.store, attempt.token

    def run(self) -> None:
        deadline = time.monotonic() + self.runtime.settings.run_seconds
        task = Task(self.id, self.attempt.request, deadline)
        with self.runtime.in_flight(task):
            self.runtime.engine.submit(task)
            outcome = self._follow(task)
        self._finish(outcome)

    def _follow(self, task: Task) -> Outcome:
        while True:
            updates = self._pending(task)
            latest = [update for update in updates if isinstance(update, Progress)][-1:]
            for update in (*latest, *(update for update in updates if not isinstance(update, Progress))):
                if isinstance(update, Outcome):
                    return update
                self._report(update, task)

    def _pending(self, task: Task) -> list[Progress | Preview | Outcome]:
        """Wait for an update; take all there are."""
        updates = [task.updates.get()]
        try:
            while True:
                updates.append(task.updates.get_nowait())
        except Empty:
            return updates

    def _report(self, update: Progress | Preview, task: Task) -> None:
        """Send a report that may be missed. Refused means that the attempt is over: stop sampling."""
        send = self._progress if isinstance(update, Progress) else self._preview
        try:
            if not send(update):  # type: ignore[arg-type]
                task.canceled.set()
        except AWAY:
            log.debug("a report of %s was missed", self.id)

    def _progress(self, progress: Progress) -> bool:
        return self.store.progress(
            self.id,
            self.token,
            step=progress.step,
            steps=progress.steps,
            nfe_done=progress.nfe_done,
            nfe_total=progress.nfe_total,
        )

    def _preview(self, preview: Preview) -> bool:
        data = base64.b64encode(encode(shrunk(preview.pixels, PREVIEW_PIXELS), "png")).decode()
        return self.store.event(
            self.id, self.token, "preview", {"index": preview.index, "step": preview.step, "b64_png": data}
        )

    def _finish(self, outcome: Outcome) -> None:
        """Store the bytes first, so that a record that says succeeded has them."""
        images: list[StoredImage] = []
        try:
            images = self._store(outcome)
        except StorageAway as error:
            log.error("generation %s could not be stored: %s", self.id, error)
            outcome = Outcome("failed", (), outcome.usage, "storage_away", UNSTORED)
        insist(
            lambda: self.store.finish(
                self.id,
                self.token,
                Status(outcome.status),
                reason=outcome.reason,
                images=images,
                diagnostics=overview(outcome) if self.attempt.request.diagnostics != "off" else None,
                usage=_usage(outcome),
                error=_failure(outcome),
            )
        )

    def _store(self, outcome: Outcome) -> list[StoredImage]:
        images = self._store_images(outcome)
        if images:
            self._store_diagnostics(outcome)
        return images

    def _store_diagnostics(self, outcome: Outcome) -> None:
        """The pictures before the document that lists them."""
        request, artifacts = self.attempt.request, self.runtime.artifacts
        pictures = drawn(outcome, request)
        for index, sheets in pictures.items():
            for sheet in sheets:
                artifacts.put(picture_key(self.id, index, sheet.name), sheet.data)
        if (written := document(outcome, request, pictures)) is not None:
            artifacts.put(diagnostics_key(self.id), json.dumps(written).encode())

    def _store_images(self, outcome: Outcome) -> list[StoredImage]:
        request = self.attempt.request
        format, stored = request.output.format, []
        for image in (encoded(image, request) for image in outcome.images):
            self.runtime.artifacts.put(image_key(self.id, image.index, format), image.data)
            stored.append(
                StoredImage(
                    index=image.index,
                    seed=image.seed,
                    sha256=image.sha256,
                    width=image.width,
                    height=image.height,
                    format=format,
                )
            )
        return stored


def _usage(outcome: Outcome) -> Usage | None:
    if outcome.usage is None:
        return None
    return Usage(nfe=outcome.usage.nfe, mean_batch_rows=outcome.usage.mean_batch_rows)


def _failure(outcome: Outcome) -> Failure | None:
    if outcome.status != "failed":
        return None
    reason = outcome.reason or "internal"
    details: dict[str, Any] = {"code": reason, "detail": outcome.detail or reason, "retryable": reason in RETRYABLE}
    return Failure(**details)
