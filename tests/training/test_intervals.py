"""Intervals against known values."""

import math

import pytest
from torch import Generator

from training.intervals import entropy, entropy_estimate, share


def test_wilson_of_eight_in_ten() -> None:
    estimate = share([True] * 8 + [False] * 2)
    assert estimate.value == 0.8
    assert estimate.low == pytest.approx(0.4902, abs=1e-4)
    assert estimate.high == pytest.approx(0.9433, abs=1e-4)


def test_certainty_is_never_claimed() -> None:
    assert 0.98 < share([True] * 200).low < 1
    assert math.isnan(share([]).value)


def test_entropy_of_uniform_and_of_constant_names() -> None:
    assert entropy(list("abcdefgh")) == pytest.approx(3)
    assert entropy(["a"] * 9) == 0


def test_the_bootstrap_interval_is_seeded_and_below_the_bound() -> None:
    estimates = [entropy_estimate(list("aabbccdd"), Generator().manual_seed(0)) for _ in range(2)]
    assert estimates[0] == estimates[1]
    assert estimates[0].low < estimates[0].high <= estimates[0].value == 2
