"""The whole, from a file to a report: sampled once, then served from the cache without a forward."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from cli.main import app
from evaluation.point import Point
from evaluation.questions import questions
from evaluation.reference import rendered
from evaluation.run import begun_from, run
from evaluation.sampling import Chunk
from evaluation.signs import SCENE
from evaluation.sweep import Sweep, SweepProblems, read_sweep
from guidance.models.stable_diffusion import StableDiffusion
from training.features import FeatureClassifier


@pytest.mark.usefixtures("few_resamples")
def test_a_second_run_gives_the_same_numbers_without_a_forward(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, cache, first, second = (tmp_path / name for name in ("tiny.yaml", "cache", "first", "second"))
    path.write_text(yaml.safe_dump(sweep.model_dump(mode="json", exclude_defaults=True)))
    done = CliRunner().invoke(app, ["evaluate", str(path), "--out", str(first), "--cache", str(cache)])
    assert done.exit_code == 0, done.output
    forbidden = {StableDiffusion: ("evaluate", "decode", "encode_picture"), FeatureClassifier: ("features",)}
    for owner, names in forbidden.items():
        for name in names:
            monkeypatch.setattr(owner, name, lambda *given, name=name: pytest.fail(f"{name} was called"))
    monkeypatch.setattr("evaluation.judging.read", lambda picture: pytest.fail("a picture was read"))
    run(read_sweep(path), "quick", cache).results.save(second)
    assert (first / "report.json").read_text() == (second / "report.json").read_text()
    assert {file.name for file in first.iterdir()} == {
        *("report.json", "resamples.npz", "report.csv", "report.md"),
        *("trade-offs.png", "pareto.png", "curves-w.png", "sheet.png"),
    }
    tree = json.loads((first / "report.json").read_text())
    assert tree["points"]["cfg w=1"]["metrics"]["evaluations"] == [3.0, 3.0, 3.0]
    assert tree["points"]["cfg w=3"]["metrics"]["evaluations"] == [6.0, 6.0, 6.0]
    assert tree["ends"]["real"]["metrics"]["accuracy"] == [1.0, 1.0, 1.0]
    assert tree["ends"]["noise"]["metrics"]["fid"][0] > tree["ends"]["real"]["metrics"]["fid"][0]


@pytest.mark.usefixtures("few_resamples")
def test_real_pictures_are_shown_beside_the_captions_they_were_drawn_with_alone(sweep: Sweep, tmp_path: Path) -> None:
    listed = sweep.model_copy(update={"captions": ["a large red star"]})
    assert [next(iter(run(one, "quick", tmp_path).shown)) for one in (sweep, listed)] == ["real", "cfg w=1"]


def test_what_a_point_began_from_is_its_captions_scenes_byte_for_byte() -> None:
    drawn = questions(Sweep.model_validate({"name": "a", "points": [{"name": "a"}]}), 3)
    body = {"model": "shapes", "sampler": {"type": "ddim"}, "source": {"image": SCENE}}
    asked = [Point("a", "a", body).request(one.caption, one.claims, one.seed, one.scene) for one in drawn]
    begun = begun_from([Chunk("0", (asked[0],)), Chunk("1", tuple(asked[1:]))])
    assert begun is not None
    np.testing.assert_array_equal(begun, rendered([one.scene for one in drawn]))


def test_a_model_without_the_classifier_is_refused(sweep: Sweep, tmp_path: Path) -> None:
    bare = sweep.model_copy(update={"classifier": str(tmp_path)})
    with pytest.raises(SweepProblems, match=r"features is missing"):
        run(bare, "quick", tmp_path)


def test_what_is_wrong_ends_in_lines_and_status_1(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text("name: a\npoints: []\n")
    done = CliRunner().invoke(app, ["evaluate", str(path)])
    assert done.exit_code == 1
    assert "points: List should have at least 1 item" in done.output
    assert "Traceback" not in done.output


def test_only_the_sizes_there_are_can_be_asked_for(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", "x.yaml", "--size", "huge"])
    assert done.exit_code == 2
    assert "'huge' is not one of quick, full" in done.output
