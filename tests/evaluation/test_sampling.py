"""Sampling through the engine: cut and gone on with, kept by what an image depends on, equal in any company."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evaluation.sampling
from evaluation.identity import Identity, fingerprint
from evaluation.point import points
from evaluation.questions import questions
from evaluation.sampling import Chunk, Sampling, SamplingFailed
from evaluation.shelf import Shelf
from evaluation.source import closure, code_digest
from evaluation.sweep import Sweep
from guidance.models.base import Model
from jobs.request import GenerationRequest, resolve

ROWS = 4


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation.sampling, "CHUNK", 4)
    monkeypatch.setattr(evaluation.sampling, "MIXED", 2)


@pytest.fixture
def sampling(model: Model, folder: Path, tmp_path: Path) -> Sampling:
    return Sampling({"shapes": model}, {"shapes": folder}, Shelf(tmp_path), ROWS)


def chunks(sampling: Sampling, sweep: Sweep, model: Model, count: int = 8) -> list[list[Chunk]]:
    """Of each point, in order."""
    asked = questions(sweep, count)
    return [sampling.chunks(point, asked) for point in points(sweep, {"shapes": model.info})]


class Cut(Exception):
    """In place of a person's Ctrl-C."""


def test_a_run_that_is_cut_goes_on_from_its_chunks(sampling: Sampling, sweep: Sweep, model: Model) -> None:
    wanted = [chunk for row in chunks(sampling, sweep, model) for chunk in row]
    landed = list[int]()

    def cut(evaluations: int) -> None:
        landed.append(evaluations)
        if len(landed) == 12:
            raise Cut

    with pytest.raises(Cut):
        sampling.make(sampling.missing(wanted), cut)
    left = sampling.missing(wanted)
    assert 0 < len(left) < len(wanted)
    again = list[int]()
    sampling.make(left, again.append)
    assert len(again) == sum(len(chunk.requests) for chunk in left)
    assert sampling.missing(wanted) == []


def test_an_image_is_the_same_alone_and_beside_other_points(
    sampling: Sampling, sweep: Sweep, model: Model, folder: Path, tmp_path: Path
) -> None:
    plain, guided = chunks(sampling, sweep, model, 4)
    sampling.make([*plain, *guided])
    alone = Sampling({"shapes": model}, {"shapes": folder}, Shelf(tmp_path / "alone"), 2)
    alone.make(guided)
    together, apart = sampling.read(guided), alone.read(guided)
    np.testing.assert_array_equal(together.pixels, apart.pixels)
    np.testing.assert_array_equal(together.out_of_range, apart.out_of_range)
    assert (together.evaluations == 6).all()
    assert (sampling.read(plain).evaluations == 3).all(), "at w = 1 there is nothing to guide with"
    assert (together.seconds > 0).all()


def test_a_smaller_size_is_the_beginning_of_a_larger(sampling: Sampling, sweep: Sweep, model: Model) -> None:
    few, many = chunks(sampling, sweep, model, 8)[0], chunks(sampling, sweep, model, 12)[0]
    assert [chunk.key for chunk in many[:2]] == [chunk.key for chunk in few]


def test_a_point_that_two_curves_have_is_sampled_once(sampling: Sampling, sweep: Sweep, model: Model) -> None:
    row = chunks(sampling, sweep, model)[0]
    assert len(sampling.missing([*row, *row])) == len(row)


def test_an_engine_that_fails_is_an_error_with_the_caption(
    sampling: Sampling, sweep: Sweep, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(branches: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(model, "evaluate", broken)
    [row, _] = chunks(sampling, sweep, model)
    with pytest.raises(SamplingFailed, match=r"seed 1000000.*RuntimeError"):
        sampling.make(row)


def digest(model: Model, folder: Path, arithmetic: str = "cpu float32", **changed: Any) -> str:
    body = {"prompt": "a star", "seed": 1, "guidance": {"schedule": {"type": "constant", "weight": 2}}} | changed
    request = resolve(GenerationRequest.model_validate(body), model.info)
    return Identity({"shapes": model}, {"shapes": folder}, arithmetic).of([request])


def test_what_changes_an_image_changes_its_digest(model: Model, folder: Path) -> None:
    plain = digest(model, folder)
    assert plain == digest(model, folder, priority="high", metadata={"a": "b"})
    sampler = {"type": "ddim", "steps": 9}
    others: list[dict[str, Any]] = [{"seed": 2}, {"prompt": "a ring"}, {"sampler": sampler}, {"guidance": {}}]
    assert len({plain, *(digest(model, folder, **other) for other in others)}) == 5
    assert plain != digest(model, folder, "cpu bfloat16")


def test_other_weights_are_another_fingerprint(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "weights.safetensors").write_bytes(b"a")
    one = fingerprint(tmp_path, ("unet",))
    fingerprint.cache_clear()
    (tmp_path / "unet" / "weights.safetensors").write_bytes(b"b")
    assert fingerprint(tmp_path, ("unet",)) != one


def test_a_method_depends_on_its_own_code_and_not_on_its_neighbours() -> None:
    found = closure(["guidance.combiners.s_cfg"])
    assert "guidance.combiners.segmentation" in found
    assert "guidance.combiners.apg" not in found
    assert code_digest(["guidance.combiners.cfg"]) != code_digest(["guidance.combiners.apg"])
