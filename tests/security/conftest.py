"""A Redis that asks for TLS, a client's certificate, a name and a password."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
import redis

from jobs.embedded import EmbeddedRedis
from tests.tls import Authority, in_front_of

USER, PASSWORD = "guidepost", "hunter2-of-redis/never#to-be-seen"
QUOTED = "hunter2-of-redis%2Fnever%23to-be-seen"
MAY = "~guidepost:* ~rq:* +@all -@dangerous -@admin +info +client|setname +client|list"
"""What docs/security.md says that the service needs of Redis."""


@dataclass(frozen=True)
class Secured:
    server: EmbeddedRedis
    folder: Path
    port: int

    def url(self, password: str = QUOTED, **options: str) -> str:
        """The URL, with other options of redis-py where a test says so; an empty one is left out."""
        known = {
            "ssl_ca_certs": f"{self.folder}/authority.pem",
            "ssl_certfile": f"{self.folder}/service.pem",
            "ssl_keyfile": f"{self.folder}/service.pem",
        }
        said = {name: value for name, value in (known | options).items() if value}
        return f"rediss://{USER}:{password}@localhost:{self.port}/0?{urlencode(said)}"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder)
    certificate = authority.issue("localhost")
    authority.issue("service")
    with EmbeddedRedis(folder) as server, in_front_of(server.socket, certificate, authority.path) as port:
        with redis.Redis.from_url(server.url) as operator:
            operator.execute_command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", *MAY.split())
            operator.execute_command("ACL", "SETUSER", "default", "off")
        yield Secured(server, folder, port)
