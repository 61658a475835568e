"""Schemathesis over every operation of the OpenAPI document, all its checks on: `make fuzz`; shorter in the suite."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from ipaddress import ip_address
from pathlib import Path

from jobs.addresses import Address
from jobs.artifacts import ArtifactStore
from jobs.connection import connect
from jobs.embedded import EmbeddedRedis
from jobs.presence import Presence
from jobs.settings import Settings
from jobs.store import JobStore
from service.app import create_app
from tests.jobs.requests import LABELS, TEXT
from tests.service.server import serving
from tests.service.stand_in import StandIn

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "tests" / "service" / "schemathesis.toml"
LONG = ["--max-examples", "100", "--max-time", "600", "--no-shrink", "--continue-on-failure"]


def fuzz(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run schemathesis against a gateway with a stand-in for its workers, which runs what is posted."""
    with connect(settings) as redis:
        store = JobStore(redis, settings)
        Presence(redis, "worker", ttl=6000).renew([TEXT, LABELS])
        worker = StandIn(store, ArtifactStore(settings.artifacts))
        app = create_app(settings)
        app.state.gateway.deliverer.resolve = nowhere
        with worker.at_work(), serving(app) as url:
            command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIGURATION), "run"]
            return subprocess.run(
                [*command, f"{url}/openapi.json", "--checks", "all", *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )


def nowhere(host: str, port: int) -> list[Address]:
    """Where every webhook is refused: nobody on the internet is to hear of this."""
    return [ip_address("127.0.0.1")]


def main() -> int:
    """A long run, on a Redis of its own, to the terminal."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder)) as server:
        settings = Settings(redis_url=server.url, data_dir=Path(folder), heartbeat_seconds=0.2)
        done = fuzz(settings, *(sys.argv[1:] or LONG))
        print(done.stdout)
        return done.returncode


if __name__ == "__main__":
    sys.exit(main())
