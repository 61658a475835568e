"""docker-compose.yml fits its schema, the images and the settings, and its Redis keeps what it acknowledges."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
import yaml

from jobs.durability import shortcomings
from jobs.embedded import server_binary
from jobs.settings import Settings
from tests.deploy.image import ROOT, images

FILE = ROOT / "docker-compose.yml"
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
SETTINGS = {f"GUIDEPOST_{name.upper()}" for name in Settings.model_fields}


def composed(**variables: str) -> dict[str, Any]:
    """The services, with variables of the shell put in as Compose does: `${NAME:-default}`, in texts alone."""

    def put_in(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: put_in(one) for name, one in value.items()}
        if isinstance(value, list):
            return [put_in(one) for one in value]
        return VARIABLE.sub(lambda found: variables.get(found[1], found[2]), value) if isinstance(value, str) else value

    services: dict[str, Any] = put_in(yaml.safe_load(FILE.read_text())["services"])
    return services


SERVICES = composed()
OURS = {name: service for name, service in SERVICES.items() if name != "redis"}
WORKERS = {name: service for name, service in OURS.items() if "worker" in name}


def test_it_fits_the_schema_of_compose_files() -> None:
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_target_and_argument_is_one_of_the_dockerfile() -> None:
    for service in OURS.values():
        target = images()[service["build"]["target"]]
        assert service["build"].get("args", {}).keys() <= {text.partition("=")[0] for text in target.of("ARG")}


def test_images_are_pinned_and_ours_are_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.fullmatch(r"redis:\d+\.\d+\.\d+-alpine", SERVICES["redis"]["image"])
    assert all(service["image"].endswith(f":{version}") for service in OURS.values())


def test_every_variable_is_a_setting() -> None:
    for service in OURS.values():
        assert {name for name in service["environment"] if name.startswith("GUIDEPOST_")} <= SETTINGS
    named = {name for name, _ in VARIABLE.findall(FILE.read_text())}
    assert len(named) > 5
    assert named <= SETTINGS | {"REDIS_PASSWORD", "REDIS_MAXMEMORY"}


def test_a_worker_has_time_to_drain_before_it_is_killed() -> None:
    for worker in WORKERS.values():
        drain = float(worker["environment"]["GUIDEPOST_DRAIN_SECONDS"])
        assert drain == Settings.model_fields["drain_seconds"].default
        assert int(worker["stop_grace_period"].removesuffix("s")) >= drain + 15


def test_nothing_is_reached_from_outside_this_machine_while_it_is_open_to_all() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"gateway": ["127.0.0.1:8000:8000"]}
    assert SERVICES["gateway"]["environment"]["GUIDEPOST_OPEN"] == "true"


def test_everything_starts_again_and_writes_only_where_it_should() -> None:
    assert {service["restart"] for service in SERVICES.values()} == {"unless-stopped"}
    for service in OURS.values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service["volumes"] == [f"data:{images()['worker'].environment['GUIDEPOST_DATA_DIR']}"]


def test_the_gpu_is_asked_for_by_its_profile_alone() -> None:
    assert "profiles" not in SERVICES["worker"] and SERVICES["worker-gpu"]["profiles"] == ["gpu"]
    [device] = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_its_redis_lacks_nothing_that_the_service_asks_for(tmp_path: Path) -> None:
    for password in ("", "secret"):
        services = composed(REDIS_PASSWORD=password)
        _, *arguments = services["redis"]["command"]
        assert services["redis"]["environment"]["REDISCLI_AUTH"] == password
        url = services["gateway"]["environment"]["GUIDEPOST_REDIS_URL"]
        kept = unquote(urlsplit(url).password or "")
        assert kept == password
        (folder := tmp_path / f"redis{password}").mkdir()
        here = ["--port", "0", "--unixsocket", "socket", "--dir", str(folder)]
        with subprocess.Popen(
            [server_binary(), *arguments, *here], cwd=folder, stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            try:
                assert any("accept connections" in line for line in server.stdout)
                path = str(folder / "socket")
                with redis.Redis(unix_socket_path=path, password=kept or None) as connection:
                    assert shortcomings(connection) == []
            finally:
                server.terminate()
