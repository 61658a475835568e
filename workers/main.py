"""A worker process: models, one engine thread, the watch, and as many RQ threads as requests it runs at a time."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from types import FrameType

import torch

from jobs import queue
from jobs.artifacts import ArtifactStore
from jobs.housekeeping import Housekeeper
from jobs.logs import configure
from jobs.settings import Settings
from jobs.tracing import TracingMissing
from workers import metrics
from workers.allocator import keep_memory
from workers.express import Express
from workers.loading import ModelError, load_all
from workers.perform import insist
from workers.runtime import Runtime
from workers.watch import Watch

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then take nothing new, finish or hand back what runs, leave.

    Exits 1 when it cannot serve.
    """
    configure(settings)
    keep_memory()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    try:
        runtime = Runtime(settings, load_all(settings))
        if (address := metrics.serve(settings, runtime)) is not None:
            log.info("metrics are at %s", address)
    except (ModelError, metrics.PortTaken, TracingMissing) as error:
        sys.exit(f"guidepost worker: {error}")
    Runtime.current = runtime
    hurry = _leave_on_signals(runtime.leaving)
    engine = runtime.engine.start()
    express = Express(runtime)
    watch = Watch(runtime, express)
    insist(watch.renew)  # who reads "ready" may post at once
    watching = watch.start()
    listeners = [_listener(settings, runtime.leaving, f"{runtime.worker_id}-{k}") for k in range(settings.concurrency)]
    listeners += express.start()
    models = ", ".join(runtime.engine.models)
    print(f"guidepost worker {runtime.worker_id} ready: {models} on {_devices(runtime)}", flush=True)
    housekeeper = Housekeeper(settings, ArtifactStore(settings.artifacts))
    housekeeper.start()
    while not runtime.leaving.wait(LOOK_SECONDS):
        if not engine.is_alive():
            log.critical("the engine died")
            # Not sys.exit, which waits for the listeners: they wait for the engine, and would go on claiming.
            os._exit(1)
    _drain(runtime, listeners, hurry)
    runtime.engine.stop()
    engine.join()
    runtime.stopping.set()
    watching.join()
    housekeeper.stop()
    runtime.tracing.close()


def _leave_on_signals(leaving: threading.Event) -> threading.Event:
    """The first signal sets `leaving`, the second what is returned."""
    hurry = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        (hurry if leaving.is_set() else leaving).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    return hurry


def _drain(runtime: Runtime, listeners: list[threading.Thread], hurry: threading.Event) -> None:
    """Let what runs come to its end, for as long as there is time; then hand it back to the line."""
    until = time.monotonic() + runtime.settings.drain_seconds
    while listeners:
        if hurry.is_set() or time.monotonic() > until:
            runtime.release()
        listeners[0].join(LOOK_SECONDS)
        listeners = [listener for listener in listeners if listener.is_alive()]


def _listener(settings: Settings, stop: threading.Event, name: str) -> threading.Thread:
    # Not daemons: the interpreter would cut them off in the middle of a job.
    thread = threading.Thread(target=queue.listen, args=(settings, stop, name), name=name)
    thread.start()
    return thread


def _devices(runtime: Runtime) -> str:
    return ", ".join(sorted({str(model.device) for model in runtime.engine.models.values()}))
