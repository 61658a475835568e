"""The only place where parameterisations are converted."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guidance.noise import Level
from guidance.prediction import Kind, Prediction
from guidance.stage import Space
from tests.guidance.steps import noise
from tests.guidance.strategies import LAW
from tests.oracles import Pair

levels = st.floats(-4, 4).map(lambda log: Level.variance_preserving(500.0, math.exp(log)))
kinds, spaces = st.sampled_from(get_args(Kind)), st.sampled_from(get_args(Space))
X0, EPS = noise(1), noise(2)


def of(kind: Kind, level: Level) -> Prediction:
    """What a perfect network in `kind` says of x = alpha x0 + sigma eps."""
    said = {"denoised": X0, "eps": EPS, "v": level.alpha * EPS - level.sigma * X0}
    return Prediction(level.alpha * X0 + level.sigma * EPS, level, said[kind], kind)


@LAW
@given(level=levels, kind=kinds)
def test_every_view_is_the_closed_form(level: Level, kind: Kind) -> None:
    prediction = of(kind, level)
    torch.testing.assert_close(prediction.denoised, X0, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(prediction.eps, EPS, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(prediction.v, of("v", level).value, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(prediction.score, -EPS / level.sigma, rtol=1e-12, atol=1e-10)


@LAW
@given(level=levels, kind=kinds, space=spaces)
def test_a_replaced_value_is_what_that_space_then_shows(level: Level, kind: Kind, space: Space) -> None:
    after = of(kind, level).replaced(noise(3), space)
    assert after.kind == kind
    torch.testing.assert_close(after.view(space), noise(3), rtol=1e-11, atol=1e-11)


@LAW
@given(level=levels, kind=kinds, space=spaces)
def test_replacing_a_view_by_itself_changes_nothing(level: Level, kind: Kind, space: Space) -> None:
    before = of(kind, level)
    after = before.replaced(before.view(space), space)
    torch.testing.assert_close(after.value, before.value, rtol=1e-11, atol=1e-11)
    assert after.x is before.x and after.level is before.level


@pytest.mark.parametrize("kind", get_args(Kind))
def test_the_own_space_is_untouched(kind: Kind) -> None:
    prediction = of(kind, Level.variance_preserving(0, 1.7))
    assert prediction.view("output") is prediction.value
    assert prediction.view(kind) is prediction.value
    assert prediction.replaced(X0, kind).value is X0


def test_a_v_prediction_is_defined_at_zero_signal() -> None:
    """There x is all noise, v = -denoised, and eps = x."""
    prediction = Prediction(EPS, Level.variance_preserving(999, math.inf), -X0, "v")
    assert torch.equal(prediction.denoised, X0)
    assert torch.equal(prediction.eps, EPS)


@pytest.mark.parametrize("ratio", [0.05, 1.0, 20.0])
def test_the_score_is_the_slope_of_the_log_density(ratio: float) -> None:
    """Of noisy Gaussian data, x ~ N(alpha mu, alpha^2 s^2 + sigma^2)."""
    level, pair, x = Level.variance_preserving(0, ratio), Pair(), noise(1, (1, 1, 4, 4))
    prediction = Prediction(x, level, pair.denoised(x / level.alpha, ratio, 1.0), "denoised")
    variance = level.alpha**2 * pair.cond_std**2 + level.sigma**2
    torch.testing.assert_close(prediction.score, (level.alpha * pair.cond_mean - x) / variance)
