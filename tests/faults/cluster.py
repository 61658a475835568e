"""A whole service as processes that a test may kill, pause and start again; all end with the test."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Self

import psutil
import redis

from jobs.connection import connect
from jobs.embedded import EmbeddedRedis
from jobs.settings import Settings
from jobs.store import JobStore
from tests.faults.entry import Faults, run

READY_SECONDS = 60.0
STOP_SECONDS = 30.0
ENVIRONMENT = {"GUIDEPOST_MODELS": "gaussians", "GUIDEPOST_THREADS": "1", "GUIDEPOST_CONCURRENCY": "4"}

forkserver = multiprocessing.get_context("forkserver")
forkserver.set_forkserver_preload(["tests.faults.entry"])


class KillableRedis(EmbeddedRedis):
    """The embedded Redis, at the mercy of a test. `start` starts it again on its files."""

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)


class Process:
    """One gateway or worker."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], log: Path, faults: Faults, network: str | None = None
    ) -> None:
        self.command, self.log = command, log
        reader, writer = forkserver.Pipe(duplex=False)
        arguments = (command, dict(env), log, writer, dict(faults), network)
        self.process: BaseProcess = forkserver.Process(target=run, args=arguments)
        self.process.start()
        writer.close()
        self._said = os.fdopen(os.dup(reader.fileno()))
        reader.close()
        self._watched = psutil.Process(self.pid)

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.is_alive()

    @property
    def megabytes(self) -> float:
        """Resident memory."""
        return float(self._watched.memory_info().rss) / 2**20

    def wait_until_ready(self) -> None:
        """Both kinds say one line once they serve."""
        line = self._said.readline()
        assert line, f"guidepost {self.command[0]} ended: {self.log.read_text()[-2000:]}"

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.process.join()

    def pause(self) -> None:
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.send(signal.SIGCONT)

    def stop(self, seconds: float = STOP_SECONDS) -> int | None:
        """Ask it to end. Its exit status; None when it had to be killed."""
        if self.alive:
            self.send(signal.SIGTERM)
        self.process.join(seconds)
        status = self.process.exitcode
        if status is None:
            self.kill()
        return status

    def close(self) -> None:
        """See that it is gone."""
        if self.alive:
            self.kill()
        self._said.close()
        self.process.close()


class Cluster:
    """A Redis, gateways and workers over one folder. `settings` by their names."""

    def __init__(
        self,
        folder: Path,
        *,
        gateways: int = 1,
        workers: int = 2,
        faults: Faults | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self.folder, self.faults = folder, faults or {}
        self.counts = gateways, workers
        self.overrides = settings or {}
        self.redis = KillableRedis(folder)
        self.gateways: list[Process] = []
        self.workers: list[Process] = []
        self.urls: list[str] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.redis)
            stack.callback(self._end)
            for _ in range(self.counts[0]):
                self.start_gateway()
            for _ in range(self.counts[1]):
                self.start_worker(wait=False)
            for process in self.workers:
                process.wait_until_ready()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def environment(self) -> dict[str, str]:
        given = {f"GUIDEPOST_{name.upper()}": str(value) for name, value in self.overrides.items()}
        where = {"GUIDEPOST_REDIS_URL": self.redis.url, "GUIDEPOST_DATA_DIR": str(self.folder)}
        return ENVIRONMENT | where | given

    @property
    def settings(self) -> Settings:
        """As the processes see them."""
        fields = {name.removeprefix("GUIDEPOST_").lower(): value for name, value in self.environment.items()}
        return Settings.model_validate(fields)

    def connection(self) -> redis.Redis:
        return connect(self.settings)

    def store(self) -> JobStore:
        return JobStore(self.connection(), self.settings)

    def start_gateway(self) -> Process:
        port = free_port()
        self.urls.append(f"http://127.0.0.1:{port}")
        return self._gateway(port)

    def revive(self, gateway: Process) -> Process:
        """A new gateway where one has ended, at the same port."""
        self.gateways.remove(gateway)
        gateway.close()
        return self._gateway(int(gateway.command[-1]))

    def _gateway(self, port: int) -> Process:
        process = self._start("gateway", ["serve", "--port", str(port)], {}, {})
        process.wait_until_ready()
        self.gateways.append(process)
        return process

    def start_worker(
        self, *, wait: bool = True, faults: Faults | None = None, network: str | None = None, **settings: object
    ) -> Process:
        """One more worker; `faults` on top of the cluster's."""
        env = {f"GUIDEPOST_{name.upper()}": str(value) for name, value in settings.items()}
        process = self._start("worker", ["worker"], env, {**self.faults, **(faults or {})}, network)
        self.workers.append(process)
        if wait:
            process.wait_until_ready()
        return process

    def replace(self, worker: Process) -> Process:
        """A new worker where one has ended."""
        self.dismiss(worker)
        return self.start_worker()

    def dismiss(self, worker: Process) -> None:
        """Do without it from now on."""
        self.workers.remove(worker)
        worker.stop()
        worker.close()

    def _start(
        self, kind: str, command: list[str], env: dict[str, str], faults: Faults, network: str | None = None
    ) -> Process:
        return Process(command, self.environment | env, self.folder / f"{kind}.log", faults, network)

    def _end(self) -> None:
        for process in (*self.workers, *self.gateways):
            process.close()


def free_port(host: str = "127.0.0.1") -> int:
    """One that nobody listens at now."""
    with socket.create_server((host, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
