"""Precision, recall, density and coverage of a few points by hand, and as their authors' own package counts them."""

from __future__ import annotations

import numpy as np
import pytest
from prdc import compute_prdc

from evaluation.manifold import LISTED, Manifolds, Neighbours, radii


def line(*places: float) -> np.ndarray:
    return np.array(places, float)[:, None]


def everything(manifolds: Manifolds, count: int) -> dict[str, float]:
    names = ("precision", "recall", "density", "coverage")
    return {name: getattr(manifolds, name)()(np.ones(count)) for name in names}


def test_a_ball_reaches_to_the_kth_neighbour() -> None:
    assert radii(line(0, 1, 3, 7), 1).tolist() == [1, 1, 2, 4]
    assert radii(line(0, 1, 3, 7), 2).tolist() == [3, 2, 3, 6]


def test_too_few_points_for_a_neighbour_are_an_error_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"2 points .* k = 3"):
        radii(line(0, 1), 3)


def test_four_points_on_a_line() -> None:
    real, generated = line(0, 1, 3, 7), line(0.5, 0.6, 5.5, 20)
    found = everything(Manifolds(real, generated, k_precision=1, k_density=1), 4)
    # real balls (0, 1), (1, 1), (3, 2), (7, 4): the first two hold 0.5 and 0.6; the last 5.5; none 20
    assert found["precision"] == 3 / 4
    assert found["density"] == (2 + 2 + 1 + 0) / 4
    assert found["coverage"] == 3 / 4
    # generated balls (0.5, 0.1), (0.6, 0.1), (5.5, 4.9), (20, 14.5): 1, 3 and 7 are in the third, 7 in the fourth
    assert found["recall"] == 3 / 4


def test_equal_sets_cover_each_other() -> None:
    points = np.random.default_rng(0).normal(size=(40, 3))
    found = everything(Manifolds(points, points), 40)
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)


def test_far_away_sets_have_nothing_in_common() -> None:
    points = np.random.default_rng(0).normal(size=(40, 3))
    assert set(everything(Manifolds(points, points + 100), 40).values()) == {0.0}


@pytest.mark.parametrize("k", [3, 5])
def test_the_authors_package_says_the_same_of_the_same_features(k: int) -> None:
    draw = np.random.default_rng(k)
    real, generated = draw.normal(size=(150, 4)), 0.8 * draw.normal(size=(120, 4)) + 0.3
    theirs = compute_prdc(real, generated, nearest_k=k)
    ours = everything(Manifolds(real, generated, k, k), 120)
    assert ours == pytest.approx({name: float(value) for name, value in theirs.items()}, abs=1e-4)


def test_the_nearest_that_are_present_are_those_of_the_set_without_the_others() -> None:
    points = np.random.default_rng(1).normal(size=(60, 2))
    present = np.random.default_rng(2).random(60) < 0.7
    found = Neighbours(points, 3).radii(present)[present]
    np.testing.assert_allclose(found, radii(points[present], 3))
    assert LISTED < 60


def test_images_that_do_not_count_cover_nothing() -> None:
    real, generated = line(0, 1, 3, 7), line(0.5, 0.6, 5.5, 20)
    manifolds = Manifolds(real, generated, k_precision=1, k_density=1)
    assert manifolds.coverage()(np.array([0.0, 0, 3, 1])) == 1 / 4
    assert manifolds.precision()(np.array([0.0, 0, 1, 3])) == 1 / 4
