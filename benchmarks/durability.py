"""`python -m benchmarks.durability`: accepted generations that a killed Redis has forgotten, by how it persists.

Clients create generations, one after another and several at once, until Redis is killed with SIGKILL. It starts again
on its files, or its replica takes over, and every id that a client was given is looked for. A kill ends the process,
not the machine: what the kernel holds of a file that was not synced reaches the disk yet. Power loss is not measured.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from guidance.models.gaussians import Gaussians
from jobs import keys
from jobs.connection import AWAY, connect
from jobs.embedded import server_binary
from jobs.request import GenerationRequest, resolve
from jobs.settings import Settings
from jobs.store import JobStore

CLIENTS = 8
OTHERS_BYTES = 256 * 2**20
"""What another program writes to a busy disk before each sync."""
WAYS: dict[str, tuple[str, ...]] = {
    "append-only file, appendfsync always": ("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
    "append-only file, appendfsync everysec": ("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
    "append-only file, appendfsync no": ("--appendonly", "yes", "--appendfsync", "no", "--save", ""),
    "snapshots alone, each minute": ("--appendonly", "no", "--save", "60 1000"),
    "nothing": ("--appendonly", "no", "--save", ""),
}
FAILOVER = "failover to a replica, both with appendfsync always"
REQUEST = resolve(GenerationRequest.model_validate({"model": "gaussians", "label": 1}), Gaussians.pictures().info)


@dataclass
class Tally:
    """Over the rounds of one way."""

    acknowledged: int = 0
    missing: int = 0
    seconds: float = 0.0
    rounds_with_loss: int = 0

    def add(self, acknowledged: set[str], there: set[str], seconds: float) -> None:
        lost = len(acknowledged - there)
        self.acknowledged += len(acknowledged)
        self.missing += lost
        self.seconds += seconds
        self.rounds_with_loss += lost > 0


class Server:
    """A redis-server with its files in a folder; started again, it has what these hold."""

    def __init__(self, folder: Path, arguments: tuple[str, ...]) -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / "socket"
        here = ["--port", "0", "--unixsocket", str(self.path), "--dir", str(folder)]
        self.argv = [server_binary(), *here, *arguments]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.argv, stdout=subprocess.DEVNULL)
        with self.client() as client:
            while not _up(client):
                time.sleep(0.01)

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.path))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def known(self) -> set[str]:
        """The ids of the generations whose record is there."""
        with self.client() as client:
            return {key.decode().rpartition(":")[2] for key in client.scan_iter(keys.generation("*"), count=1000)}


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.durability", description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=10, help="kills of each way to persist (default: 10)")
    arguments.add_argument("--seconds", type=float, default=1.5, help="of load before a kill (default: 1.5)")
    arguments.add_argument("--only", action="append", choices=[*WAYS, FAILOVER], help="this way; may be repeated")
    arguments.add_argument("--busy-disk", action="store_true", help="write to the same disk, and sync, all the while")
    given = arguments.parse_args()
    print("| Redis persists by | acknowledged | missing after a kill | kills with a loss | creates a second |")
    print("| --- | --- | --- | --- | --- |")
    for way in given.only or (*WAYS, FAILOVER):
        tally = Tally()
        for _ in range(given.rounds):
            with tempfile.TemporaryDirectory(prefix="guidepost-") as folder, _disk(Path(folder), given.busy_disk):
                (_fail_over if way == FAILOVER else _kill)(Path(folder), way, given.seconds, tally)
        rate = tally.acknowledged / tally.seconds
        lossy = f"{tally.rounds_with_loss} of {given.rounds}"
        print(f"| {way} | {tally.acknowledged:,} | {tally.missing:,} | {lossy} | {rate:,.0f} |", flush=True)
    return 0


def _kill(folder: Path, way: str, seconds: float, tally: Tally) -> None:
    server = Server(folder / "redis", WAYS[way])
    acknowledged = _loaded(server, seconds)
    server.start()
    tally.add(acknowledged, server.known(), seconds)
    server.kill()


def _fail_over(folder: Path, way: str, seconds: float, tally: Tally) -> None:
    always = next(iter(WAYS.values()))
    port = str(_free_port())  # a replica follows over TCP
    primary = Server(folder / "primary", (*always, "--port", port, "--bind", "127.0.0.1"))
    replica = Server(folder / "replica", (*always, "--replicaof", "127.0.0.1", port))
    with replica.client() as client:
        while client.info("replication")["master_link_status"] != "up":
            time.sleep(0.01)
        acknowledged = _loaded(primary, seconds)
        client.replicaof("NO", "ONE")
    tally.add(acknowledged, replica.known(), seconds)
    replica.kill()


def _loaded(server: Server, seconds: float) -> set[str]:
    """Create generations until the server is killed after `seconds`; the ids that were acknowledged."""
    acknowledged: list[str] = []
    clients = [threading.Thread(target=_create, args=(server, acknowledged)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(seconds)
    server.kill()
    for client in clients:
        client.join()
    return set(acknowledged)


def _create(server: Server, acknowledged: list[str]) -> None:
    settings = Settings(redis_url=f"unix://{server.path}", max_queue=10**9, max_queue_evaluations=10**12)
    with connect(settings) as connection:
        store = JobStore(connection, settings)
        try:
            while True:
                acknowledged.append(store.create(REQUEST, 20).id)
        except AWAY:
            return


def _up(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:  # not up, or still loading its file
        return False


@contextmanager
def _disk(folder: Path, busy: bool) -> Iterator[None]:
    """Keep the disk of this folder busy, if asked to: an fsync of ours and one of Redis wait for each other."""
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            with (folder / "other").open("wb") as file:
                file.write(bytes(OTHERS_BYTES))
                os.fsync(file.fileno())

    other = threading.Thread(target=write)
    if busy:
        other.start()
    yield
    stop.set()
    if busy:
        other.join()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
