"""The threads of a gateway that deliver webhooks."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import httpx

from jobs.connection import AWAY, connect
from jobs.correlation import correlated
from jobs.deliveries import Deliveries, Outcome
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
BUSY_SECONDS = 20.0
"""Until one whose receiver has its threads is looked at again; about what an attempt can take."""
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
        """Attempt the delivery that has been due for longest; False when none is due."""
        id = self.deliveries.claim()
        if id is None:
            return False
        record = self.store.get(id)
        if record is None or record.request.webhook is None:  # its record has expired, or was removed by hand
            self.deliveries.settle(id, Delivery(), Outcome("unknown", final=True))
            return True
        with correlated(record.correlation), self._turn(record.request.webhook) as mine:
            if mine:
                self._settle(record, record.request.webhook, self._attempt(record, record.request.webhook))
            else:
                self.deliveries.postpone(id, BUSY_SECONDS)
        return True

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
            receiver = httpx.URL(webhook.url).netloc.decode()  # the rest of a URL may be a secret
            log.warning(
                "the webhook of generation %s to %s was given up after %s attempts: %s",
                *(record.id, receiver, delivery.attempts, what),
            )

    @contextmanager
    def _turn(self, webhook: Webhook) -> Iterator[bool]:
        """Whether the receiver has a thread left for this one; it is taken meanwhile."""
        receiver = httpx.URL(webhook.url).netloc.decode()
        with self._lock:
            mine = self._busy[receiver] < THREADS_PER_RECEIVER
            self._busy[receiver] += mine
        try:
            yield mine
        finally:
            with self._lock:
                self._busy[receiver] -= mine
                self._busy += Counter()  # forget those at zero

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
