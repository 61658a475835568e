"""Sweeps from YAML to points: what varies gets names, and what is wrong is said with its place, value and bound."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from evaluation.point import Point, points
from evaluation.questions import claims_of, judged, questions
from evaluation.reference import rendered
from evaluation.sweep import Sweep, SweepProblems, read_sweep
from guidance.models.base import Model
from guidance.picture import pixels
from training.pictures import draw_scenes

ROOT = Path(__file__).parents[2]
CONSTANT = {"schedule": {"type": "constant", "weight": 2}}


def written(folder: Path, **changed: Any) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump({"name": "a", "points": [{"name": "cfg", "guidance": CONSTANT}]} | changed))
    return path


def expanded(model: Model, *curves: dict[str, Any], **changed: Any) -> list[Point]:
    return points(Sweep.model_validate({"name": "a", "points": list(curves)} | changed), {"shapes": model.info})


def test_a_spec_without_values_is_one_point(model: Model) -> None:
    [point] = expanded(model, {"name": "plain", "guidance": CONSTANT})
    assert (point.name, point.x, point.axis) == ("plain", None, "")


def test_a_list_of_weights_is_a_curve(model: Model) -> None:
    found = expanded(model, {"name": "cfg", "guidance": CONSTANT, "weight": [1, 2.5]})
    assert [point.name for point in found] == ["cfg w=1", "cfg w=2.5"]
    assert [(point.x, point.axis) for point in found] == [(1.0, "w"), (2.5, "w")]
    assert [point.request("a star", None, 0).guidance.schedule.weight for point in found] == [1.0, 2.5]  # type: ignore[union-attr]


def test_any_number_of_a_spec_or_sampler_may_vary(model: Model) -> None:
    varied = {"/guidance/correction/0/phi": [0.2, 0.8], "/sampler/steps": [4, 8]}
    spec = {**CONSTANT, "correction": [{"type": "rescale"}]}
    found = expanded(model, {"name": "rescale", "guidance": spec, "vary": varied})
    assert [point.name for point in found] == [
        *("rescale phi=0.2, steps=4", "rescale phi=0.2, steps=8"),
        *("rescale phi=0.8, steps=4", "rescale phi=0.8, steps=8"),
    ]
    assert found[-1].request("a star", None, 0).sampler.steps == 8
    assert found[-1].axis == "phi"


def test_a_point_may_begin_from_the_picture_of_its_captions_scene(model: Model) -> None:
    spec = {"name": "inverted", "source": {"image": "$scene", "weight": 1}, "vary": {"/sampler/steps": [4, 8]}}
    found = expanded(model, spec)
    assert [point.body["source"] for point in found] == 2 * [{"image": "$scene", "weight": 1}]
    scene = draw_scenes(1, 0)[0]
    source = found[0].request("a star", None, 0, scene).source
    assert source is not None and source.weight == 1
    shown = pixels(source.image)[0].permute(1, 2, 0)
    assert ((shown * 127.5 + 127.5).round().byte().numpy() == rendered([scene])[0]).all()


def test_a_loss_may_have_the_picture_of_the_captions_scene(model: Model) -> None:
    loss = {"type": "match", "image": "$scene"}
    [point] = expanded(model, {"name": "a", "guidance": {"energy": [{"type": "dps", "losses": [loss]}]}})
    [energy] = point.request("a star", None, 0, draw_scenes(1, 0)[0]).guidance.energy
    assert energy.losses[0].image.startswith("data:image/png;base64,")  # type: ignore[union-attr]


def test_a_spec_may_ask_for_the_classes_that_a_caption_states(model: Model) -> None:
    spec = {**CONSTANT, "energy": [{"type": "classifier", "labels": "$stated"}]}
    point = Point("a", "a", {"model": "shapes", "guidance": spec})
    [energy] = point.request("x", claims_of("a small red star on a dark background"), 0).guidance.energy
    assert energy.labels == ("star", "red", "small", "dark")  # type: ignore[union-attr]
    assert point.request("x", claims_of("a shape"), 0).guidance.energy == [], "there is nothing to push towards"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"images": {"quick": 4, "full": 10}}, r"images/quick: .*greater than or equal to 8, not 4"),
        ({"name": "a b"}, r"name: .*pattern.*, not 'a b'"),
        ({"points": []}, r"points: .*at least 1 item"),
        ({"size": 3}, r"size: Extra inputs are not permitted, not 3"),
        ({"captions": []}, r"captions = \[\]"),
        ({"seed": 2**32 - 5}, r"seed = 4294967291 .* 2000: 4294969290 would pass 4294967295"),
        ({"points": [{"name": "a", "model": "other"}]}, r"a: model = 'other': models names shapes"),
        ({"plot": {"x": "fide", "y": "fid"}}, r"plot/0/x: x = 'fide': there are fid, inception_score"),
        ({"plot": [{"x": "fid", "y": "recall"}, {"x": "fid"}]}, r"plot/1/y: Field required"),
        (
            {"captions": ["a star"], "points": [{"name": "a", "source": {"image": "$scene"}}]},
            r"a: \$scene: captions is a list, and a listed one has no scene",
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_bound(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(SweepProblems) as raised:
        read_sweep(written(tmp_path, **changed))
    assert any(re.search(said, line) for line in raised.value.lines), raised.value.lines


@pytest.mark.parametrize(
    ("curve", "said"),
    [
        ({"guidance": {"schedule": {"type": "constant", "weight": "x"}}}, r"cfg: guidance/schedule/.*number.*'x'"),
        ({"guidance": CONSTANT, "vary": {"/guidance/schedule/type/x": [1]}}, r"points/0/grid/.*nothing inside"),
        ({"guidance": CONSTANT, "vary": {"/seed": [1]}}, r"points/0/grid/.*begins with one of /guidance"),
        ({"guidance": {"combiner": {"type": "none"}}}, r"cfg: guidance/combiner.*none"),
        ({"source": {"image": "x.png"}}, r"cfg: source/image: the picture must be a data URL.*, not 'x\.png'"),
        ({"source": {"image": "$scene"}, "sampler": {"type": "ddpm"}}, r"cfg: /sampler/type: an inversion is .*ddim"),
        ({"sampler": {"type": "ddim", "steps": 0}}, r"cfg: sampler/.*steps: .*greater than or equal to 1, not 0"),
        (
            {"guidance": {"energy": [{"type": "classifier", "labels": ["dog"]}]}},
            r"cfg: /guidance/energy/0/labels/0: labels = dog",
        ),
    ],
)
def test_a_point_that_cannot_be_run_is_named(model: Model, curve: dict[str, Any], said: str) -> None:
    with pytest.raises(SweepProblems) as raised:
        expanded(model, {"name": "cfg"} | curve)
    assert any(re.search(said, line) for line in raised.value.lines), raised.value.lines


def test_a_baseline_is_one_of_the_points(model: Model) -> None:
    with pytest.raises(SweepProblems, match="baseline = 'b': the points are cfg"):
        expanded(model, {"name": "cfg", "guidance": CONSTANT}, baseline="b")


def test_points_on_the_sheet_are_among_the_points(model: Model) -> None:
    with pytest.raises(SweepProblems, match="show/1: 'b': the points are cfg"):
        expanded(model, {"name": "cfg", "guidance": CONSTANT}, show=["cfg", "b"])


def test_a_plot_may_stand_alone() -> None:
    tree = {"name": "a", "points": [{"name": "cfg"}], "plot": {"x": "fid", "y": "recall"}}
    [plot] = Sweep.model_validate(tree).plot
    assert (plot.x, plot.y) == ("fid", "recall")


def test_a_plot_along_what_varies_needs_one_thing_that_does(model: Model) -> None:
    along = {"name": "cfg", "guidance": CONSTANT, "weight": [1, 2]}
    steps = {"name": "by steps", "sampler": {"type": "ddim"}, "vary": {"/sampler/steps": [2, 3]}}
    assert len(expanded(model, along, plot={"y": "fid"})) == 2
    with pytest.raises(SweepProblems, match="plot: x = None: curves vary over steps, w: over one thing"):
        expanded(model, along, steps, plot={"y": "fid"})
    for still in ({}, {"weight": [3]}):
        with pytest.raises(SweepProblems, match="plot: x = None: curves vary over nothing"):
            expanded(model, {"name": "cfg", "guidance": CONSTANT} | still, plot={"y": "fid"})


def test_names_are_there_once(model: Model) -> None:
    with pytest.raises(SweepProblems, match="'cfg' is there twice"):
        expanded(model, {"name": "cfg", "guidance": CONSTANT}, {"name": "cfg"})


def test_a_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text("a: [")
    with pytest.raises(SweepProblems, match=r"sweep\.yaml cannot be read"):
        read_sweep(tmp_path / "sweep.yaml")


def test_a_larger_size_goes_on_from_a_smaller_one(sweep: Sweep) -> None:
    few, many = questions(sweep, 8), questions(sweep, 12)
    assert many[:8] == few
    assert [question.seed for question in few] == list(range(1_000_000, 1_000_008))


def test_listed_captions_are_gone_through_again_and_again() -> None:
    listed = Sweep.model_validate({"name": "a", "captions": ["a star", "Moin"], "points": [{"name": "cfg"}]})
    asked = questions(listed, 5)
    assert [question.caption for question in asked] == ["a star", "Moin", "a star", "Moin", "a star"]
    assert [question.claims is None for question in asked] == [False, True, False, True, False]
    assert judged(asked, "a red star") == [claims_of("a red star")] * 5


@pytest.mark.parametrize("path", sorted((ROOT / "evaluation").rglob("*.yaml")), ids=lambda path: path.stem)
def test_a_sweep_that_is_shipped_can_be_run(model: Model, path: Path) -> None:
    sweep = read_sweep(path)
    if set(sweep.models) == {"shapes"}:
        assert points(sweep, {"shapes": model.info})


def test_the_sweep_of_the_page_can_be_run_with_its_claim(model: Model, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "evaluation.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "sweep.yaml").write_text("".join(blocks))
    found = points(read_sweep(tmp_path / "sweep.yaml"), {"shapes": model.info})
    assert [point.name for point in found] == [
        *("cfg w=1", "cfg w=3", "cfg w=8"),
        *("rescale phi=0.3", "rescale phi=0.7", "rescale phi=1"),
    ]
