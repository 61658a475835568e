"""Pictures of known scenes: captions judged, what is left open told apart, variety and saturation measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.accuracy import accuracy
from evaluation.entropy import bits, entropies
from evaluation.judging import Judgement, judgement
from evaluation.questions import claims_of
from evaluation.reference import rendered
from evaluation.samples import Samples
from evaluation.saturation import saturation
from evaluation.shelf import Shelf
from training.captions import Claims
from training.classifier import GROUPS
from training.scenes import Scene, Thing

SHAPES = ("star", "star", "circle", "circle")
COLOURS = ("red", "blue", "red", "green")


def samples() -> Samples:
    """Each combination of SHAPES and COLOURS, twice."""
    scenes = [
        Scene((Thing(shape, colour, 18.0, 32.0, 32.0),), "light", "plain")
        for shape, colour in 2 * list(zip(SHAPES, COLOURS, strict=True))
    ]
    return Samples.of_pixels(rendered(scenes))


def judged(folder: Path, *captions: str) -> Judgement:
    claims: list[Claims | None] = [claims_of(caption) for caption in captions]
    return judgement(samples(), claims, Shelf(folder))


def values(found: object, count: int = 8) -> dict[str, float]:
    return {name: statistic(np.ones(count)) for name, statistic in found}  # type: ignore[attr-defined]


def test_captions_are_judged_attribute_by_attribute(tmp_path: Path) -> None:
    found = values(accuracy(judged(tmp_path, *["a red star"] * 8)))
    assert found["accuracy"] == 1 / 4
    assert (found["accuracy_shape"], found["accuracy_colour"], found["accuracy_count"]) == (1 / 2, 1 / 2, 1)
    assert "accuracy_tone" not in found, "no caption states one"


def test_captions_in_other_words_are_not_judged(tmp_path: Path) -> None:
    assert values(accuracy(judged(tmp_path, *["Ein roter Stern."] * 8))) == {}
    half = values(accuracy(judged(tmp_path, *["a star", "???"] * 4)))
    assert half["accuracy"] == 1 / 2, "of the four that are judged, two are stars"


def test_the_entropy_is_of_what_captions_leave_open(tmp_path: Path) -> None:
    found = values(entropies(judged(tmp_path, *["a shape on a light plain background"] * 8)))
    assert found["entropy_shape"] == pytest.approx(1)
    assert found["entropy_colour"] == pytest.approx(1.5)
    assert found["entropy_size"] == 0
    assert "entropy_tone" not in found
    assert found["entropy"] == pytest.approx((1 + 1.5 + 0) / 3)


def test_what_too_few_captions_leave_open_is_not_measured(tmp_path: Path) -> None:
    found = values(entropies(judged(tmp_path, "a star", *["a red star"] * 7)))
    assert "entropy_colour" not in found
    assert "entropy_size" in found


def test_bits_of_even_shares_are_the_logarithm_of_their_number() -> None:
    assert bits(np.array([2.0, 2, 2, 2, 0])) == 2
    assert np.isnan(bits(np.zeros(3)))


def test_chroma_is_of_coloured_pixels_alone(tmp_path: Path) -> None:
    found = values(saturation(samples(), judged(tmp_path, *["a star"] * 8)))
    assert set(found) == {"chroma"}, "nothing was sampled, so nothing was clipped"
    assert 0.4 < found["chroma"] < 1


def test_readings_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = judged(tmp_path, *["a red star"] * 8)
    monkeypatch.setattr("evaluation.judging.read", lambda picture: pytest.fail("read again"))
    second = judged(tmp_path, *["a red star"] * 8)
    np.testing.assert_array_equal(first.verdicts, second.verdicts)
    assert set(second.seen) == set(GROUPS)
