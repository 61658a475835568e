"""Clients of an HTTP server that ask again as soon as they are answered, and the server as a process of its own."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil

CLIENTS = 8
TIMEOUT_SECONDS = 60.0
ROUTE = "/v1/generations"
DESCRIPTOR = "DESCRIPTOR"
"""Stands for the listening socket in a command line."""
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Server:
    """One process that creates at POST ROUTE and answers at GET ROUTE/{id}."""

    process: subprocess.Popen[bytes]
    port: int

    def create(self, bodies: Sequence[bytes], clients: int = CLIENTS) -> None:
        """Post all of them, shared out among so many clients."""
        self._all([[("POST", ROUTE, body) for body in bodies[k::clients]] for k in range(clients)])

    def poll(self, id: str, times: int, clients: int = CLIENTS) -> None:
        """Ask for one of them so often."""
        self._all([[("GET", f"{ROUTE}/{id}", None)] * (times // clients)] * clients)

    def created(self, body: bytes) -> str:
        """The id of one that is posted now."""
        id: str = json.loads(self._asked([("POST", ROUTE, body)]))["id"]
        return id

    @property
    def cpu_seconds(self) -> float:
        """That the process has taken so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def _all(self, shares: Sequence[Sequence[tuple[str, str, bytes | None]]]) -> None:
        with ThreadPoolExecutor(len(shares)) as clients:
            list(clients.map(self._asked, shares))

    def _asked(self, requests: Sequence[tuple[str, str, bytes | None]]) -> bytes:
        """One after another over one connection; the last answer. RuntimeError when one is refused."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = b""
        for method, path, body in requests:
            connection.request(method, path, body, JSON if body else {})
            response = connection.getresponse()
            answer = response.read()
            if response.status not in (200, 202):
                raise RuntimeError(f"{method} {path}: {response.status} {answer!r}")
        connection.close()
        return answer


@contextmanager
def served(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server on a free port of the loopback; what is asked before it is up waits. It ends on the way out."""
    # Read anew from its descriptor the socket knows that it is TCP; asyncio else leaves Nagle's algorithm on.
    with socket.socket(fileno=socket.create_server(("127.0.0.1", 0)).detach()) as listener, log.open("ab") as file:
        process = subprocess.Popen(
            [str(listener.fileno()) if word == DESCRIPTOR else word for word in command],
            pass_fds=[listener.fileno()],
            env=os.environ | dict(environment or {}),
            stdout=file,
            stderr=file,
        )
        try:
            yield Server(process, listener.getsockname()[1])
        finally:
            process.terminate()
            process.wait()


def bodies(fields: Mapping[str, Any], count: int, numbers: Iterator[int], new_specs: bool = False) -> list[bytes]:
    """Requests with seeds that follow from the next `numbers`; and weights, where each is to have a spec of its own."""
    made = []
    for number in itertools.islice(numbers, count):
        changed = dict(fields) | {"seed": number}
        if new_specs:
            schedule = fields["guidance"]["schedule"] | {"max_weight": 2 + number / 2**20}
            changed["guidance"] = fields["guidance"] | {"schedule": schedule}
        made.append(json.dumps(changed).encode())
    return made
