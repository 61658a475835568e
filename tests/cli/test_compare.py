"""`guidepost compare`: several specs, one sheet."""

import csv
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from cli.compare import read_axis
from cli.main import app
from tests.cli.conftest import Up

run = CliRunner().invoke
MODEL = ("1", "--model", "gaussians", "--seed", "5", "--steps", "4")


def test_an_axis_is_a_pointer_and_its_values() -> None:
    assert read_axis('/a/type=["x", "y"]') == ("/a/type", ["x", "y"])
    assert read_axis("/a/weight=3") == ("/a/weight", [3])
    with pytest.raises(typer.BadParameter):
        read_axis("/a/weight")


def test_a_grid_becomes_a_sheet_and_a_table(up: Up, tmp_path: Path) -> None:
    sheet, table = tmp_path / "sheet.webp", tmp_path / "steps.csv"
    grid = ["--grid", "/guidance/schedule/weight=[1,3]", "--grid", '/guidance/combiner/type=["cfg","cfg_zero"]']
    done = run(app, ["compare", *MODEL, *grid, "-o", str(sheet), "--diagnostics", str(table), "--url", up.url])
    assert done.exit_code == 0, done.output
    with Image.open(sheet) as image:
        assert image.format == "WEBP"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 4
    assert {row["label"] for row in rows} == {f"combiner={c}, weight={w}" for c in ("cfg", "cfg_zero") for w in (1, 3)}


def test_what_the_service_refuses_is_said_in_lines(up: Up, tmp_path: Path) -> None:
    specs = ["--spec", "cfg_fixed", "--spec", '{"combiner": {"type": "none"}}']
    done = run(app, ["compare", *MODEL, *specs, "-o", str(tmp_path / "sheet.png"), "--url", up.url])
    assert done.exit_code == 1
    assert "/specs/1/guidance/combiner/type" in done.output
    assert not (tmp_path / "sheet.png").exists()
