"""`make fuzz`: every parser of a client's bytes, then every operation of the OpenAPI document. Shorter in the suite.

The parsers with hypothesis (`tests/fuzz`), the operations with schemathesis, all its checks on.
"""

from __future__ import annotations

import os
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
EXAMPLES = "5000"
"""Of each property of a parser, in a long run."""
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


def parsers() -> int:
    """The properties of the parsers, each tried on EXAMPLES, other ones each time."""
    command = [sys.executable, "-m", "pytest", "-q", "tests/fuzz"]
    return subprocess.run(command, cwd=ROOT, env={"FUZZ_EXAMPLES": EXAMPLES} | os.environ, check=False).returncode


def main() -> int:
    """A long run, on a Redis of its own, to the terminal; arguments are schemathesis's and leave the parsers out."""
    if not sys.argv[1:] and (failed := parsers()):
        return failed
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder)) as server:
        settings = Settings(redis_url=server.url, data_dir=Path(folder), heartbeat_seconds=0.2)
        done = fuzz(settings, *(sys.argv[1:] or LONG))
        print(done.stdout)
        return done.returncode


if __name__ == "__main__":
    sys.exit(main())
