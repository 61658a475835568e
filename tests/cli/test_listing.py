"""`methods`, `models` and `openapi`."""

import json

from typer.testing import CliRunner

from cli.docs import ROOT
from cli.main import app
from guidance.presets import PRESETS
from guidance.registry import UNIONS, members
from tests.cli.conftest import Up

run = CliRunner().invoke


def test_methods_names_every_method_and_preset() -> None:
    words = set(run(app, ["methods"]).output.split())
    assert {method.type_name() for stage in UNIONS for method in members(stage)} | set(PRESETS) <= words


def test_methods_as_json_carries_schemas() -> None:
    listed = json.loads(run(app, ["methods", "--json"]).output)
    assert {entry["type"]: entry["schema"]["type"] for entry in listed["combiner"]}["cfg"] == "object"


def test_models_lists_what_the_worker_loaded(up: Up) -> None:
    done = run(app, ["models", "--url", up.url])
    assert done.exit_code == 0, done.output
    assert "gaussians" in done.output


def test_models_without_a_service_says_so() -> None:
    done = run(app, ["models", "--url", "http://127.0.0.1:9"])
    assert done.exit_code == 1
    assert "http://127.0.0.1:9/v1/models does not answer" in done.output


def test_openapi_prints_what_the_file_holds() -> None:
    assert run(app, ["openapi"]).output == (ROOT / "openapi.yaml").read_text()
