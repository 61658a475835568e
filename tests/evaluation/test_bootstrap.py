"""Intervals: what a mean's are known to be, what bias does to them, and that pairs are resampled as pairs."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.bootstrap import Replicates, bootstrapped, resamples
from evaluation.fid import Gaussian, fid
from evaluation.statistic import mean, ratio


def test_a_resample_draws_as_many_as_there_are() -> None:
    drawn = resamples(50)
    assert (drawn.sum(1) == 50).all()
    assert (resamples(50) == drawn).all()


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(0).normal(3, 2, 500)
    found = bootstrapped(mean(values), resamples(500))
    low, high = found.interval
    half = 1.96 * values.std() / np.sqrt(500)
    assert found.value == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.2 * half)


def test_a_biased_number_lies_in_its_own_interval() -> None:
    features = np.random.default_rng(1).normal(size=(60, 20))
    real = Gaussian.of(np.random.default_rng(2).normal(size=(2_000, 20)))
    found = bootstrapped(fid(features, real), resamples(60))
    assert found.drawn.min() > found.value, "a resample's FID is larger: fewer different images"
    assert found.interval[0] < found.value < found.interval[1]


def test_what_two_points_have_in_common_falls_out_of_their_difference() -> None:
    hard = np.random.default_rng(3).normal(0, 5, 100)
    better = hard + 1 + np.random.default_rng(4).normal(0, 0.1, 100)
    drawn = resamples(100)
    one, other = bootstrapped(mean(better), drawn), bootstrapped(mean(hard), drawn)
    low, high = (one - other).interval
    assert 0.95 < low < 1 < high < 1.05
    assert one.interval[0] < other.interval[1], "apart, they cannot be told from each other"


def test_a_number_that_is_not_defined_has_no_interval() -> None:
    nothing = ratio(np.zeros(5), np.zeros(5))
    assert np.isnan(bootstrapped(nothing, resamples(5)).interval).all()


def test_missing_values_do_not_count() -> None:
    assert mean(np.array([1.0, np.nan, 3.0]))(np.ones(3)) == 2
    assert mean(np.array([1.0, np.nan, 3.0]))(np.array([3.0, 5.0, 1.0])) == 1.5


def test_replicates_subtract_resample_by_resample() -> None:
    apart = Replicates(3.0, np.array([2.0, 4.0])) - Replicates(1.0, np.array([1.0, 1.0]))
    assert apart.value == 2
    assert apart.drawn.tolist() == [1, 3]
