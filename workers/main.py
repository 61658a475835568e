"""A worker process: models, one engine thread, the watch, and as many RQ threads as requests it runs at a time."""

from __future__ import annotations

import logging
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
    if settings.threads:
        torch.set_num_threads(settings.threads)
    try:
        runtime = Runtime(settings, load_all(settings))
        if (address := metrics.serve(settings, runtime)) is not None:
            log.info("metrics are at %s", address)
    except (ModelError, metrics.PortTaken, TracingMissing) as error:
        sys.exit(f"guidepost worker: {error}")
    Runtime.current = runtime
    stop, hurry = _stop_on_signals()
    engine = runtime.engine.start()
    watch = Watch(runtime)
    insist(watch.renew)  # who reads "ready" may post at once
    watching = watch.start()
    listeners = [_listener(settings, stop, f"{runtime.worker_id}-{k}") for k in range(settings.concurrency)]
    models = ", ".join(runtime.engine.models)
    print(f"guidepost worker {runtime.worker_id} ready: {models} on {_devices(runtime)}", flush=True)
    housekeeper = Housekeeper(settings, ArtifactStore(settings.artifacts))
    housekeeper.start()
    while not stop.wait(LOOK_SECONDS):
        if not engine.is_alive():
            sys.exit("guidepost worker: the engine died; its log says why")
    _drain(runtime, listeners, hurry)
    runtime.engine.stop()
    engine.join()
    runtime.stopping.set()
    watching.join()
    housekeeper.stop()
    runtime.tracing.close()


def _stop_on_signals() -> tuple[threading.Event, threading.Event]:
    """Set by the first signal, and by the second."""
    stop, hurry = threading.Event(), threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    return stop, hurry


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
