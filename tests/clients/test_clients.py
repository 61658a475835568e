"""Four generated clients talk to a real service, and to one that has gone on without them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.conftest import Up
from tests.clients.future import CODE, STATUS, Service
from tests.clients.page import block
from tests.clients.workshop import CLIENTS, Workshop

pytestmark = [pytest.mark.clients, pytest.mark.slow]
HARMLESS = ("OpenAPI 3.1 support is still in beta", "Failed to get the schema name: null", "Index (reserved word)")
PNG = b"\x89PNG\r\n\x1a\n"


def columns(url: str, job: str) -> list[str]:
    diagnostics = httpx.get(f"{url}/v1/generations/{job}/diagnostics").json()
    return sorted(diagnostics["images"][0]["columns"])


@pytest.fixture(scope="session")
def curls(workshop: Workshop, up: Up) -> bytes:
    """The picture that the curl example saves."""
    workshop.run("bash", "-ec", block("curl", "bash"), GUIDEPOST_URL=up.url)
    return (workshop.folder / "curl.png").read_bytes()


def test_every_example_saves_the_picture_that_curl_saves(client: str, workshop: Workshop, up: Up, curls: bytes) -> None:
    """One prompt, seed and guidance, in five spellings."""
    workshop.run(*workshop.example(client), GUIDEPOST_URL=up.url)
    assert curls.startswith(PNG)
    assert (workshop.folder / f"{client}.png").read_bytes() == curls


def test_a_client_reads_diagnostics_an_image_and_a_problem(client: str, workshop: Workshop, up: Up, job: str) -> None:
    assert json.loads(workshop.run(*workshop.script(client), up.url, job)) == {
        "status": "succeeded",
        "columns": columns(up.url, job),
        "magic": PNG.hex(),
        "code": "unsupported",
        "errors": [["/model", "unknown_model"]],
    }


def test_a_client_survives_values_and_fields_of_a_later_version(
    client: str, workshop: Workshop, up: Up, job: str, future: Service
) -> None:
    assert json.loads(workshop.run(*workshop.script(client), future.url, job)) == {
        "status": STATUS,
        "columns": columns(up.url, job),
        "magic": PNG.hex(),
        "code": CODE,
        "errors": [["/model", CODE]],
    }


@pytest.mark.parametrize("language", ["python", "typescript"])
def test_the_event_readers_end_with_done(language: str, workshop: Workshop, up: Up, job: str) -> None:
    lines = workshop.run(*workshop.example("events", language), GUIDEPOST_URL=up.url, ID=job).splitlines()
    assert [line.split()[0] for line in lines] == kinds(up.url, job)
    assert lines[-1].strip() == "done"


def test_the_curl_example_of_events_ends_with_done(workshop: Workshop, up: Up, job: str) -> None:
    said = workshop.run("bash", "-ec", block("Events", "bash"), GUIDEPOST_URL=up.url, ID=job)
    [*_, last] = [line for line in said.splitlines() if line.startswith("event: ")]
    assert last == "event: done"


def kinds(url: str, job: str) -> list[str]:
    """The types of the events that the service keeps of a generation."""
    with httpx.stream("GET", f"{url}/v1/generations/{job}/events", timeout=60) as stream:
        found: list[Any] = [line.removeprefix("event: ") for line in stream.iter_lines() if line.startswith("event: ")]
    assert {"status", "step", "preview", "done"} <= set(found)
    return found


@pytest.mark.parametrize("client", ["openapi_generator", "typescript_fetch"])
def test_openapi_generator_warns_of_nothing_that_the_page_does_not_mention(client: str, workshop: Workshop) -> None:
    warnings = [line for line in workshop.said[client].splitlines() if " WARN " in line or " ERROR " in line]
    assert [line for line in warnings if not any(harmless in line for harmless in HARMLESS)] == []


def test_the_other_generators_warn_of_nothing(workshop: Workshop) -> None:
    for client in CLIENTS.keys() - {"openapi_generator", "typescript_fetch"}:
        assert "arning" not in workshop.said[client]
        assert "rror" not in workshop.said[client]


@pytest.mark.parametrize("name", ["requirements.lock", "package.json", "package-lock.json"])
def test_what_is_installed_is_pinned_and_names_no_place(name: str) -> None:
    text = (Path(__file__).parents[2] / "clients" / name).read_text()
    assert "://" not in text
    assert "resolved" not in text
    if name == "requirements.lock":
        assert all("==" in line for line in text.splitlines() if not line.startswith("#"))
