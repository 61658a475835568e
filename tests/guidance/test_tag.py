"""Tangential Amplifying Guidance against the update of ComfyUI's node, in Karras' scale."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from guidance.corrections import TAG
from guidance.noise import Level
from guidance.prediction import Kind, Prediction
from tests.guidance.steps import LEVEL, a_step, noise, prediction
from tests.guidance.strategies import LAW, drawn

kinds = st.sampled_from(get_args(Kind))
scales = st.floats(0, 10)
DENOISED = noise(1)


def amplified(correction: TAG, denoised: Tensor = DENOISED, kind: Kind = "denoised", level: Level = LEVEL) -> Tensor:
    step = a_step(x=noise(0, denoised.shape), level=level)
    before = prediction(denoised, "denoised", step=step)
    guided = Prediction(before.x, before.level, before.view(kind), kind)
    return correction.correct(guided, {}, step).denoised


def in_karras_scale(denoised: Tensor, level: Level = LEVEL) -> tuple[Tensor, Tensor]:
    """y = x / alpha, and the update delta = D - y."""
    y = noise(0, denoised.shape) / level.alpha
    return y, denoised - y


@LAW
@given(tangential=scales, radial=scales, kind=kinds)
def test_it_is_the_node_s_update(tangential: float, radial: float, kind: Kind) -> None:
    """The node guards its norm with 1e-8."""
    y, delta = in_karras_scale(DENOISED)
    along = y / (y.norm() + 1e-8)
    delta_r = (delta * along).sum() * along
    expected = y + tangential * (delta - delta_r) + radial * delta_r
    after = amplified(TAG(tangential=tangential, radial=radial), kind=kind)
    torch.testing.assert_close(after, expected, rtol=1e-7, atol=1e-7)


@LAW
@given(data=st.data(), kind=kinds)
def test_at_1_and_1_it_is_the_identity(data: st.DataObject, kind: Kind) -> None:
    same = amplified(data.draw(drawn(TAG, tangential=1.0, radial=1.0)), kind=kind)
    torch.testing.assert_close(same, amplified(TAG(sigma_low=1e6), kind=kind), rtol=0, atol=0)


@LAW
@given(tangential=scales)
def test_at_radial_1_the_component_along_the_sample_is_preserved(tangential: float) -> None:
    y, _ = in_karras_scale(DENOISED)
    after = amplified(TAG(tangential=tangential))
    torch.testing.assert_close((after * y).sum(), (DENOISED * y).sum(), rtol=1e-6, atol=1e-6)


@LAW
@given(tangential=scales, radial=scales)
def test_each_part_of_the_update_is_scaled_by_its_own(tangential: float, radial: float) -> None:
    y, delta = in_karras_scale(DENOISED)
    after = amplified(TAG(tangential=tangential, radial=radial)) - y
    along = y / y.norm()
    torch.testing.assert_close((after * along).sum(), radial * (delta * along).sum(), rtol=1e-6, atol=1e-6)
    perpendicular = delta - (delta * along).sum() * along
    torch.testing.assert_close(
        (after - (after * along).sum() * along), tangential * perpendicular, rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize(
    ("low", "high", "acts"), [(0, 1.25, True), (1.25, None, True), (1.3, None, False), (0, 1.2, False)]
)
def test_it_acts_within_its_window_with_both_ends(low: float, high: float | None, acts: bool) -> None:
    """The step's sigma / alpha is 1.25."""
    after = amplified(TAG(tangential=2, sigma_low=low, sigma_high=high))
    assert torch.equal(after, DENOISED) != acts


def test_at_zero_signal_it_does_nothing() -> None:
    start = Level.variance_preserving(999, math.inf)
    guided = Prediction(noise(0), start, noise(1), "v")
    after = TAG(tangential=2).correct(guided, {}, a_step(level=start))
    assert torch.equal(after.value, guided.value)


def test_a_window_upside_down_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"sigma_low = 2\.0 must not be above sigma_high = 1\.0"):
        TAG(sigma_low=2.0, sigma_high=1.0)
