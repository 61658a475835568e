"""The papers' claims as they are shipped: every file is a sweep, and every image it asks for is one that can be run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluation.point import Point, points
from evaluation.questions import questions
from evaluation.signs import STATED, asks
from evaluation.sweep import Sweep, read_sweep
from guidance.info import ModelInfo
from guidance.models.base import Model
from jobs.request import resolve

FOLDER = Path(__file__).parents[2] / "evaluation"
CLAIMS = sorted((FOLDER / "claims").glob("*.yaml"))
METHODS = FOLDER / "methods.yaml"
ASKING = [path for path in (*CLAIMS, METHODS) if STATED in path.read_text()]


def named(path: Path) -> str:
    return path.stem


def infos(sweep: Sweep, model: Model) -> dict[str, ModelInfo]:
    """Of models that are trained apart, and look alike: the shipped one's, under their names."""
    return {id: model.info.model_copy(update={"id": id}) for id in sweep.models}


def weights(point: Point, model: Model) -> Iterator[float | None]:
    """At each of its steps."""
    request = point.request("a red circle", None, 0)
    for step, level in enumerate(request.sampler.levels(model.info.noise)):
        yield request.guidance.schedule.at(step, request.sampler.steps, level.ratio)


def test_there_are_seventeen_files_of_the_papers_claims() -> None:
    assert len(CLAIMS) == 17


@pytest.mark.parametrize("path", [*CLAIMS, METHODS], ids=named)
def test_every_point_of_a_file_can_be_run(path: Path, model: Model) -> None:
    sweep = read_sweep(path)
    found = points(sweep, infos(sweep, model))
    assert sweep.name == path.stem
    assert sweep.about
    assert sweep.baseline in [point.name for point in found]


@pytest.mark.parametrize("path", CLAIMS, ids=named)
def test_a_claim_says_what_it_expects_what_to_show_and_what_to_plot(path: Path) -> None:
    sweep = read_sweep(path)
    assert sweep.claim is not None
    assert sweep.show
    assert sweep.plot


@pytest.mark.parametrize("path", ASKING, ids=named)
def test_what_asks_for_stated_classes_can_be_run_for_every_caption(path: Path, model: Model) -> None:
    sweep = read_sweep(path)
    known = infos(sweep, model)
    asking = [point for point in points(sweep, known) if asks(point.body["guidance"], STATED)]
    assert asking
    for question in questions(sweep, sweep.images.full):
        for point in asking:
            resolve(point.request(question.caption, question.claims, question.seed), known[point.body["model"]])


def test_the_schedules_that_are_compared_have_equal_means(model: Model) -> None:
    sweep = read_sweep(FOLDER / "claims" / "05-schedules.yaml")
    for point in points(sweep, infos(sweep, model)):
        spent = list(weights(point, model))
        mean = sum(weight for weight in spent if weight is not None) / len(spent)
        assert mean == pytest.approx(3 if point.name.endswith("3") else 5, abs=1e-3), point.name


def test_an_interval_leaves_out_the_steps_that_it_says(model: Model) -> None:
    sweep = read_sweep(FOLDER / "claims" / "03-interval.yaml")
    guided = {
        point.name: sum(weight is not None for weight in weights(point, model))
        for point in points(sweep, infos(sweep, model))
        if point.curve.startswith("interval")
    }
    limits = {"sigma_high=2.5": 4, "sigma_high=6": 6, "sigma_high=18": 8}
    assert guided == {f"interval at {w} {limit}": steps for w in (2, 5) for limit, steps in limits.items()}
