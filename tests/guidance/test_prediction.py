"""The only place where parameterisations are converted."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import guidance
from guidance.combiners import ADG
from guidance.combiners.cfg_zero import scale
from guidance.combiners.perp_neg import perpendicular
from guidance.combiners.tcfg import shared
from guidance.noise import Level
from guidance.prediction import Kind, Prediction
from guidance.stage import Space
from tests.guidance.steps import a_step, guided, noise
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


# Devices without float64


@pytest.fixture
def no_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU as a device on which float64 raises."""

    def refuse(*_: object) -> Tensor:
        raise TypeError("this device has no float64")

    monkeypatch.setattr("guidance.prediction.WITHOUT_FLOAT64", {"cpu"})
    monkeypatch.setattr(Tensor, "double", refuse)


PRODUCTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cfg_zero": scale,
    "tcfg": shared,
    "perpendicular": perpendicular,
    "adg": lambda cond, uncond: guided(ADG(), a_step(3.0), cond, uncond),
}


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_products_are_taken_in_float32_where_there_is_no_float64(
    name: str, dtype: torch.dtype, no_float64: None
) -> None:
    cond, uncond = noise(1).to(dtype), noise(2).to(dtype)
    value = PRODUCTS[name](cond, uncond)
    assert value.dtype == dtype
    exact = PRODUCTS[name](cond.to(torch.float64), uncond.to(torch.float64))
    tolerance = 1e-5 if dtype == torch.float32 else 1e-2
    torch.testing.assert_close(value.to(torch.float64), exact, rtol=tolerance, atol=tolerance)


def test_float64_is_asked_for_in_one_place() -> None:
    """Elsewhere a device without it would fail in the middle of a picture."""
    folder = Path(guidance.__file__).parent
    asking = {str(file.relative_to(folder)) for file in folder.rglob("*.py") if ".double()" in file.read_text()}
    assert asking == {"prediction.py"}
