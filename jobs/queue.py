"""Everything about RQ: how workers are woken when a generation waits, and how they listen in threads.

An RQ job is a bell: who pops it claims the first generation in line (`JobStore.claim`), whichever that is. So the order
is ours (priorities without a second RQ queue, with which RQ pops unsafely), and a bell too many does nothing. RQ's own
status of a job is advisory.
"""

from __future__ import annotations

import json
import logging
import struct
import threading
import time
from collections.abc import Iterable, Mapping
from typing import cast
from uuid import uuid4

import redis
from redis.client import Pipeline
from rq import Queue, SimpleWorker
from rq.exceptions import DequeueTimeout, NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty

from jobs.connection import AWAY, connect_blocking
from jobs.settings import Settings

log = logging.getLogger(__name__)

NAME = "guidepost"
FUNCTION = "workers.perform.perform"
"""The only function that a worker calls."""
STATE = frozenset(
    {
        *("data", "created_at", "origin", "description", "status", "timeout", "result_ttl", "failure_ttl"),
        *("enqueued_at", "started_at", "ended_at", "last_heartbeat", "worker_name"),
    }
)
"""The fields of a job that are read: nothing in them is imported, called, unpickled or sent anywhere."""
LONGEST_CALL = 256
"""Bytes of a call as it is stored, compressed; ours has about 60."""
KEPT_SECONDS = 30
"""How long RQ keeps its own entry of a job that ended, for `rq info`."""
KEPT_FAILED_SECONDS = 3600
NO_TIMEOUT = -1
NAMELESS = "BellWithoutAName"
"""Stands for a bell's name."""
PACKED_SECONDS = 1.0
POLL_SECONDS = 1
"""How long a listening thread may take to notice that it should stop."""
BACKOFF_SECONDS = 1.0


class Bell(Job):
    """The one kind of job there is: a call of FUNCTION without arguments. Any other does not exist for a worker.

    RQ imports and calls whatever a job names, and its callbacks, and loads pickle where it is not told otherwise: who
    can write to Redis could run code.
    """

    def restore(self, raw_data: Mapping[bytes, bytes]) -> None:
        """Read what Redis holds. Raises NoSuchJobError, upon which RQ drops it, when that is no bell of ours."""
        kept = {name: value for name, value in raw_data.items() if name.decode(errors="replace") in STATE}
        try:
            if len(kept[b"data"]) > LONGEST_CALL:
                raise ValueError("the call is too long")
            self.serializer = JSONSerializer
            super().restore(kept)
            function, instance, args, kwargs = json.loads(self.data)
        except Exception:  # whatever its bytes provoke
            function = None
        if function != FUNCTION or instance is not None or args or kwargs:
            log.warning("a job that is not ours was refused: %r", self.id)
            raise NoSuchJobError(f"{self.id!r} is no bell")


def queue(connection: redis.Redis) -> Queue:
    return Queue(
        NAME, connection=connection, serializer=JSONSerializer, job_class=Bell, death_penalty_class=TimerDeathPenalty
    )


def ring(pipeline: Pipeline, target: Queue, name: str) -> None:
    """Add to `pipeline` what wakes one worker for one generation. `name` is the RQ job's id, and must be new.

    Each attempt has a bell of its own: RQ deletes a job by its id when it ends, even if it was queued again since.
    """
    target.enqueue_call(
        FUNCTION,
        job_id=name,
        description=f"a generation waits ({name})",
        timeout=NO_TIMEOUT,
        result_ttl=KEPT_SECONDS,
        failure_ttl=KEPT_FAILED_SECONDS,
        pipeline=pipeline,
    )


class Bells:
    """What RQ does to queue a bell, for a script that rings: see `jobs/transition`."""

    def __init__(self, target: Queue) -> None:
        self.target = target
        self._packed = b""
        self._until = 0.0

    def packed(self) -> bytes:
        """RQ's commands for the bell NAMELESS: the number of their words, then each with its length, numbers as >I.

        RQ is asked once a second, so that what it notes of the time is true to that.
        """
        if time.monotonic() >= self._until:
            with self.target.connection.pipeline() as never_sent:
                ring(never_sent, self.target, NAMELESS)
                encode = never_sent.get_encoder().encode
                self._packed = b"".join(_packed(map(encode, words)) for words, _ in never_sent.command_stack)
            self._until = time.monotonic() + PACKED_SECONDS
        return self._packed


def _packed(words: Iterable[bytes]) -> bytes:
    parts = [struct.pack(">I", len(word)) + word for word in words]
    return struct.pack(">I", len(parts)) + b"".join(parts)


def hush(target: Queue, times: int) -> None:
    """Take so many bells away, the oldest first."""
    names = cast("list[bytes] | None", target.connection.lpop(target.key, times)) or []
    if names:
        target.connection.delete(*[Job.key_for(name.decode()) for name in names])


def listen(settings: Settings, stop: threading.Event, name: str | None = None) -> None:
    """Take generations from the queue and run them, one at a time, in this thread, until `stop` is set.

    Outlives a Redis that goes away. A generation that runs when `stop` is set is finished first.
    """
    connection = connect_blocking(settings, POLL_SECONDS)
    try:
        while not stop.is_set():
            try:
                # A name may not be taken twice, and a worker that lost Redis could not give its name back.
                worker = ThreadWorker(queue(connection), stop, f"{name or 'guidepost'}-{uuid4().hex[:8]}", connection)
                worker.work(logging_level="WARNING")  # returns when asked to stop, or when Redis failed it
            except AWAY:
                pass
            stop.wait(BACKOFF_SECONDS)
    finally:
        connection.close()


class ThreadWorker(SimpleWorker):
    """An RQ worker that runs in a thread: no signals, no process title, no remote commands, stopped by an event."""

    death_penalty_class = TimerDeathPenalty

    def __init__(self, source: Queue, stop: threading.Event, name: str, connection: redis.Redis) -> None:
        # One queue only: with two, RQ pops without its intermediate list and a crash loses what was popped.
        super().__init__([source], name=name, connection=connection, serializer=JSONSerializer, job_class=Bell)
        self.stop = stop

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """The next job, or None once asked to stop. RQ's own loop waits for minutes and cannot be interrupted."""
        while not self.stop.is_set():
            try:
                self.heartbeat()
                if self.should_run_maintenance_tasks:
                    self.run_maintenance_tasks()  # type: ignore[no-untyped-call]
                return self._pop()
            except DequeueTimeout:
                continue
            except AWAY:
                self.stop.wait(BACKOFF_SECONDS)
        return None

    def _pop(self) -> tuple[Job, Queue] | None:
        found = self.queue_class.dequeue_any(
            self.queues, POLL_SECONDS, connection=self.connection, job_class=self.job_class, serializer=JSONSerializer
        )
        if found is not None:
            found[0].redis_server_version = self.queues[0].get_redis_server_version()
        return found

    def get_heartbeat_ttl(self, job: Job) -> int:
        """Seconds that RQ trusts a running job; ours have no time limit that RQ knows of."""
        return 3600

    def _install_signal_handlers(self) -> None:
        """Signals belong to the main thread."""

    def procline(self, message: str) -> None:
        """The title of the process is not a thread's to change."""

    def subscribe(self) -> None:
        """RQ's remote commands (shutdown, kill-horse) address a process; here they would end its neighbours."""
