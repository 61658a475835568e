"""The demo, on the analytic model of a service that runs already."""

import json
from pathlib import Path

from PIL import Image
from typer.testing import CliRunner

from cli.demo import SPECS
from cli.main import app
from guidance.spec import GuidanceSpec
from tests.cli.conftest import Up


def test_every_spec_of_the_demo_is_valid() -> None:
    for spec in SPECS.values():
        GuidanceSpec.model_validate(spec)


def test_the_demo_writes_images_a_grid_and_a_plot(up: Up, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["demo", "--url", up.url, "--model", "gaussians", "--steps", "4", "-o", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    assert str(tmp_path / "grid.png") in done.output
    assert set(json.loads((tmp_path / "diagnostics.json").read_text())) == set(SPECS)
    assert len(list(tmp_path.glob("*-*.png"))) % len(SPECS) == 0
    for name in ("grid.png", "diagnostics.png"):
        with Image.open(tmp_path / name) as picture:
            picture.load()
