"""A worker process: models, one engine thread, the watch, and as many RQ threads as requests it runs at a time."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from types import FrameType

import torch

from jobs import queue
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
    """Serve until SIGTERM or SIGINT; then take nothing new, finish what runs, leave. Exits 1 when it cannot serve."""
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
    stop = _stop_on_signals()
    engine = runtime.engine.start()
    watch = Watch(runtime)
    insist(watch.renew)  # who reads "ready" may post at once
    watching = watch.start()
    listeners = [_listener(settings, stop, f"{runtime.worker_id}-{k}") for k in range(settings.concurrency)]
    models = ", ".join(runtime.engine.models)
    print(f"guidepost worker {runtime.worker_id} ready: {models} on {_devices(runtime)}", flush=True)
    while not stop.wait(LOOK_SECONDS):
        if not engine.is_alive():
            sys.exit("guidepost worker: the engine died; its log says why")
    for listener in listeners:
        listener.join()
    runtime.engine.stop()
    engine.join()
    runtime.stopping.set()
    watching.join()
    runtime.tracing.close()


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    return stop


def _listener(settings: Settings, stop: threading.Event, name: str) -> threading.Thread:
    # Not daemons: the interpreter would cut them off in the middle of a job.
    thread = threading.Thread(target=queue.listen, args=(settings, stop, name), name=name)
    thread.start()
    return thread


def _devices(runtime: Runtime) -> str:
    return ", ".join(sorted({str(model.device) for model in runtime.engine.models.values()}))
