"""Generations that begin from a picture, over HTTP from the command line to the worker and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from cli.generate import read_source
from cli.main import app
from tests.cli.conftest import Up


def run(up: Up, output: Path, *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["generate", *words, "-o", str(output), "--url", up.url, "--seed", "1"])
    assert done.exit_code == code, done.output
    return done.output


def decibels(one: Path, other: Path) -> float:
    a, b = (np.asarray(Image.open(path).convert("RGB")).astype(float) for path in (one, other))
    return float(10 * np.log10(255**2 / np.mean((a - b) ** 2)))


@pytest.mark.parametrize(
    ("model", "shown", "floor"),
    [("gaussians", "1", 25), ("shapes", "a small red star", 33)],
    ids=["gaussians", "shapes"],
)
def test_a_picture_comes_back(up: Up, tmp_path: Path, model: str, shown: str, floor: float) -> None:
    """31 dB and 43 dB with 20 steps of CFG++."""
    drawn, back = tmp_path / "drawn.png", tmp_path / "back.png"
    spec = '{"combiner": {"type": "cfgpp"}, "schedule": {"type": "constant", "weight": 0.3}}'
    words = [shown, "--model", model, "--steps", "20", "--guidance", spec]
    run(up, drawn, *words)
    run(up, back, *words, "--source", str(drawn), "--source-prompt", shown)
    assert decibels(drawn, back) > floor


def test_a_refusal_says_where(up: Up, tmp_path: Path) -> None:
    small = tmp_path / "small.png"
    Image.new("RGB", (8, 8)).save(small)
    words = ["1", "--model", "gaussians", "--source", str(small), "--sampler", "heun", "-n", "2"]
    told = run(up, tmp_path / "out.png", *words, code=1)
    for pointer in ("/source/image", "/n", "/sampler/type"):
        assert pointer in told
    assert "8 x 8" in told and "16 x 16" in told and "n = 2" in told


def test_the_options_of_a_source_are_checked(tmp_path: Path) -> None:
    assert read_source(None, None) is None
    for path, shows in ((None, "a star"), (tmp_path / "none.png", None), (tmp_path, None)):
        with pytest.raises(typer.BadParameter):
            read_source(path, shows)
