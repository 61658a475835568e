"""The threads of a gateway that deliver webhooks."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from jobs.connection import AWAY, connect
from jobs.correlation import correlated
from jobs.deliveries import Claim, Deliveries, Outcome
from jobs.record import Record
from jobs.settings import Settings
from jobs.signing import SigningSecrets
from jobs.store import JobStore
from jobs.webhook import Delivery, Webhook
from service import outbound
from service.webhook import headers, payload

log = logging.getLogger("guidepost.webhooks")

THREADS = 8
THREADS_PER_RECEIVER = 2
"""A receiver that is slow, or one of whom much is due, leaves the other threads to others."""
STOP_SECONDS = 5.0
"""For which what is under way is waited for at the end. What is left open is found again when its claim is over."""


class Deliverer:
    """Each thread takes what is due, one after the other. Gateways share the work by claims in Redis."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.redis = connect(settings)
        self.store = JobStore(self.redis, settings)
        self.deliveries = Deliveries(self.redis)
        self.secrets = SigningSecrets(self.redis)
        self.resolve = outbound.resolve
        self._busy: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, name=f"webhooks-{n}", daemon=True) for n in range(THREADS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Take nothing new, and wait a little for what is under way."""
        self._stop.set()
        deadline = monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))
        self.redis.close()

    def deliver(self) -> bool:
        """Attempt the delivery that has been due for longest; False when there is none to attempt."""
        with self._claim() as claim:
            if claim is None:
                return False
            record = self.store.get(claim.id)
            if record is None or record.request.webhook is None:  # its record has expired, or was removed by hand
                self.deliveries.settle(claim.id, Delivery(), Outcome("unknown", final=True))
            else:
                with correlated(record.correlation):
                    self._settle(record, record.request.webhook, self._attempt(record, record.request.webhook))
            return True

    @contextmanager
    def _claim(self) -> Iterator[Claim | None]:
        """What to attempt next; a thread of its receiver is taken meanwhile."""
        with self._lock:
            busy = [receiver for receiver, threads in self._busy.items() if threads >= THREADS_PER_RECEIVER]
            claim = self.deliveries.claim(busy)
            if claim:
                self._busy[claim.receiver] += 1
        try:
            yield claim
        finally:
            if claim:
                with self._lock:
                    self._busy[claim.receiver] -= 1
                    self._busy += Counter()  # forget those at zero

    def _attempt(self, record: Record, webhook: Webhook) -> Outcome:
        if webhook.problems(self.settings.allowed):  # the settings have changed since it was accepted
            return Outcome("refused_address", final=True)
        try:
            body = payload(record, self.settings.public_url)
            signed = headers(record, body, self.secrets.valid(record.tenant))
            return outbound.post(webhook.url, body, signed, self.settings.allowed, self.resolve)
        except AWAY:
            raise
        except Exception:  # ours: another attempt may do better, and this thread goes on
            log.exception("the webhook of generation %s failed", record.id)
            return Outcome("internal")

    def _settle(self, record: Record, webhook: Webhook, outcome: Outcome) -> None:
        delivery = self.deliveries.settle(record.id, record.delivery or Delivery(), outcome)
        if delivery and delivery.state == "failed":
            what = f"{outcome.error} {outcome.status or ''}".rstrip()
            log.warning(
                "the webhook of generation %s to %s was given up after %s attempts: %s",
                *(record.id, webhook.receiver, delivery.attempts, what),
            )

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if self.deliver():
                    continue
            except AWAY:
                pass  # what is due stays due
            except Exception:
                log.exception("webhooks could not be looked for")
            self._stop.wait(self.settings.housekeeping_seconds)
