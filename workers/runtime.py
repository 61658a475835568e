"""What the threads of one worker process share: its engine, its store, and the tasks in flight."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

from guidance.models.base import Model
from jobs.artifacts import ArtifactStore
from jobs.connection import connect
from jobs.settings import Settings
from jobs.store import JobStore
from jobs.tracing import Tracing
from workers.engine import Engine
from workers.forecast import Forecast
from workers.task import Task


class Runtime:
    """One per process: RQ calls a function by its name, which finds the engine here."""

    current: ClassVar[Runtime]

    def __init__(self, settings: Settings, models: Mapping[str, Model]) -> None:
        self.settings = settings
        # In a container that is restarted, host and pid are the same again, and its predecessor may hold work.
        self.worker_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self.redis = connect(settings)
        self.store = JobStore(self.redis, settings)
        self.artifacts = ArtifactStore(settings.artifacts, settings.artifacts_retry_seconds)
        self.checkpoints = ArtifactStore(settings.artifacts, patience=1.0)  # optional, and made anew soon
        self.tracing = Tracing(settings, "worker")
        self.engine = Engine(models, settings.max_batch_rows)
        self.forecast = Forecast(self.engine)
        self.leaving = threading.Event()
        """Nothing new is begun."""
        self.stopping = threading.Event()
        """Nothing runs any more."""
        self._tasks: dict[str, Task] = {}
        self._lock = threading.Lock()

    @contextmanager
    def in_flight(self, token: str, task: Task) -> Iterator[None]:
        """Keep the task of an attempt where the watch finds it: its lease is renewed as long as it is here."""
        with self._lock:
            self._tasks[token] = task
        try:
            yield
        finally:
            with self._lock:
                del self._tasks[token]

    def tasks(self) -> dict[str, Task]:
        """The tasks in flight, by the tokens of their attempts."""
        with self._lock:
            return dict(self._tasks)

    def release(self) -> None:
        """Let go of all that runs; whoever follows it hands it back."""
        for task in self.tasks().values():
            task.released.set()
