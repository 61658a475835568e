"""Corrections against their formulas."""

from __future__ import annotations

from typing import Literal, get_args

import pytest
import torch
from diffusers import DDIMScheduler
from diffusers.guiders.guider_utils import rescale_noise_cfg
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from guidance.corrections import Correction, DynamicThreshold, Rescale, StaticThreshold
from guidance.noise import Level
from guidance.prediction import Kind, Prediction
from tests.guidance.steps import a_step, noise, prediction
from tests.guidance.strategies import LAW

kinds = st.sampled_from(get_args(Kind))
COND, GUIDED = noise(1), 3 * noise(2)
WIDE = 4 * noise(3)
"""Denoised values well beyond [-1, 1]."""


def thresholded(correction: Correction, denoised: Tensor, kind: Kind = "denoised") -> Tensor:
    before = prediction(denoised, "denoised")
    return correction.correct(_as(before, kind), {}, a_step()).denoised


def rescaled(correction: Rescale, guided: Tensor = GUIDED, cond: Tensor = COND, kind: Kind = "eps") -> Prediction:
    return correction.correct(prediction(guided, kind), {"cond": prediction(cond, kind)}, a_step())


# Saharia et al. 2022, arXiv:2205.11487: static and dynamic thresholding


def test_static_threshold_clips_the_denoised_estimate() -> None:
    assert torch.equal(thresholded(StaticThreshold(), WIDE), WIDE.clamp(-1, 1))


@LAW
@given(kind=kinds, bound=st.floats(0.1, 5))
def test_static_threshold_is_idempotent(kind: Kind, bound: float) -> None:
    once = thresholded(StaticThreshold(bound=bound), WIDE, kind)
    torch.testing.assert_close(thresholded(StaticThreshold(bound=bound), once, kind), once, rtol=0, atol=1e-12)


@LAW
@given(correction=st.sampled_from([StaticThreshold(), DynamicThreshold()]))
def test_the_noise_prediction_is_recomputed_from_the_thresholded_estimate(correction: Correction) -> None:
    before = _as(prediction(WIDE, "denoised"), "eps")
    after = correction.correct(before, {}, a_step())
    level = before.level
    expected = (before.x - level.alpha * thresholded(correction, WIDE)) / level.sigma
    torch.testing.assert_close(after.eps, expected)


@LAW
@given(percentile=st.floats(0.01, 1), kind=kinds)
def test_dynamic_threshold_below_its_bound_is_static(percentile: float, kind: Kind) -> None:
    """Where the percentile does not exceed the bound, s is the bound."""
    narrow, bound = WIDE / 100, 0.5
    dynamic = thresholded(DynamicThreshold(percentile=percentile, bound=bound), narrow, kind)
    static = thresholded(StaticThreshold(bound=bound), narrow, kind)
    torch.testing.assert_close(dynamic, static, rtol=0, atol=1e-12)


@LAW
@given(percentile=st.floats(0.01, 1), bound=st.floats(0.1, 5))
def test_dynamic_threshold_with_its_maximum_at_the_bound_is_static(percentile: float, bound: float) -> None:
    dynamic = DynamicThreshold(percentile=percentile, bound=bound, maximum=bound)
    static = StaticThreshold(bound=bound)
    torch.testing.assert_close(thresholded(dynamic, WIDE), thresholded(static, WIDE), rtol=1e-15, atol=0)


@LAW
@given(percentile=st.floats(0.01, 1), bound=st.floats(0.1, 5), kind=kinds)
def test_dynamic_threshold_lands_within_its_bound(percentile: float, bound: float, kind: Kind) -> None:
    after = thresholded(DynamicThreshold(percentile=percentile, bound=bound), WIDE, kind)
    assert float(after.abs().max()) <= bound * (1 + 1e-12)


@LAW
@given(factor=st.floats(1, 50))
def test_dynamic_threshold_at_percentile_1_forgets_the_scale(factor: float) -> None:
    """With max |denoised| > 1 the estimate is divided by it, so a multiple gives the same."""
    whole = DynamicThreshold(percentile=1.0)
    torch.testing.assert_close(thresholded(whole, factor * WIDE), thresholded(whole, WIDE))


def test_dynamic_threshold_divides_by_the_percentile_of_the_magnitude() -> None:
    ramp = torch.linspace(-4, 4, 24, dtype=torch.float64).view(1, 2, 3, 4)
    s = ramp.abs().flatten().quantile(0.9)
    after = thresholded(DynamicThreshold(percentile=0.9), ramp)
    torch.testing.assert_close(after, ramp.clamp(-s, s) / s)


def test_dynamic_threshold_keeps_s_below_its_maximum() -> None:
    after = thresholded(DynamicThreshold(percentile=1.0, maximum=1.5), WIDE)
    torch.testing.assert_close(after, WIDE.clamp(-1.5, 1.5) / 1.5)


@pytest.mark.parametrize(
    ("correction", "used"),
    [(StaticThreshold(bound=2.0), 2.0), (DynamicThreshold(percentile=1), float(WIDE.abs().max()))],
    ids=["static", "dynamic"],
)
def test_thresholds_note_the_value_they_used(correction: Correction, used: float) -> None:
    step = a_step()
    correction.correct(prediction(WIDE, "denoised"), {}, step)
    assert float(step.notes["threshold"]) == used


def test_dynamic_threshold_refuses_a_maximum_below_its_bound() -> None:
    with pytest.raises(ValidationError, match=r"maximum = 1\.0 must not be below bound = 2\.0"):
        DynamicThreshold(bound=2.0, maximum=1.0)


@LAW
@given(percentile=st.floats(0.01, 1), maximum=st.floats(1, 5), factor=st.floats(0.1, 10))
def test_dynamic_threshold_is_diffusers(percentile: float, maximum: float, factor: float) -> None:
    """Its schedulers' `_threshold_sample`, to rounding. Its default maximum of 1 is static thresholding."""
    scheduler = DDIMScheduler(dynamic_thresholding_ratio=percentile, sample_max_value=maximum)
    ours = thresholded(DynamicThreshold(percentile=percentile, maximum=maximum), factor * WIDE)
    torch.testing.assert_close(ours, scheduler._threshold_sample(factor * WIDE), rtol=0, atol=1e-12)
    default = DDIMScheduler(dynamic_thresholding_ratio=percentile)._threshold_sample(factor * WIDE)
    torch.testing.assert_close(thresholded(StaticThreshold(), factor * WIDE), default, rtol=0, atol=1e-12)


@pytest.mark.parametrize("recomputed", [True, False])
def test_a_thresholded_step_is_diffusers_where_it_recomputes_the_noise(recomputed: bool) -> None:
    """One step of DDIM with `thresholding=True`: ours is `use_clipped_model_output=True`, to its float32 levels.

    By default diffusers puts the noise of the unclipped estimate back, which is another sampler.
    """
    scheduler = DDIMScheduler(thresholding=True, dynamic_thresholding_ratio=0.9, sample_max_value=2.0)
    scheduler.set_timesteps(10)
    t, before = int(scheduler.timesteps[4]), int(scheduler.timesteps[5])
    here, there = (Level(k, float(bar) ** 0.5, (1 - float(bar)) ** 0.5) for k, bar in _bars(scheduler, t, before))
    x, eps = noise(1), noise(2)
    after = DynamicThreshold(percentile=0.9, maximum=2.0).correct(Prediction(x, here, eps, "eps"), {}, a_step())
    theirs = scheduler.step(eps, t, x, use_clipped_model_output=recomputed, return_dict=False)[0]
    ours = there.alpha * after.denoised + there.sigma * after.eps
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-5) == recomputed


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_percentile_of_half_precision_is_taken_in_single(dtype: torch.dtype) -> None:
    """torch has no quantile below float32."""
    before = Prediction(noise(0).to(dtype), Level(0, 1, 0), WIDE.to(dtype), "denoised")
    after = DynamicThreshold(percentile=0.9).correct(before, {}, a_step()).value
    s = WIDE.to(dtype).float().abs().flatten().quantile(0.9)
    assert after.dtype == dtype
    torch.testing.assert_close(after.float(), WIDE.to(dtype).float().clamp(-s, s) / s, rtol=0, atol=1e-2)


# Lin et al. 2023, arXiv:2305.08891: guidance rescale


@LAW
@given(kind=kinds, space=st.sampled_from(["model", "v", "denoised"]))
def test_rescale_at_1_has_the_deviation_of_the_conditional_prediction(
    kind: Kind, space: Literal["model", "v", "denoised"]
) -> None:
    after, view = rescaled(Rescale(phi=1, space=space), kind=kind), "output" if space == "model" else space
    expected = prediction(COND, kind).view(view).std()
    torch.testing.assert_close(after.view(view).std(), expected)


@LAW
@given(phi=st.floats(0, 1), kind=kinds)
def test_rescale_at_weight_1_is_the_identity(phi: float, kind: Kind) -> None:
    torch.testing.assert_close(rescaled(Rescale(phi=phi), COND, COND, kind).value, COND)


@LAW
@given(kind=kinds)
def test_rescale_at_1_is_idempotent(kind: Kind) -> None:
    once = rescaled(Rescale(phi=1), kind=kind).value
    torch.testing.assert_close(rescaled(Rescale(phi=1), once, kind=kind).value, once)


def test_rescale_at_0_changes_no_bit() -> None:
    assert torch.equal(rescaled(Rescale(phi=0)).value, GUIDED)


@LAW
@given(phi=st.floats(0, 1))
def test_rescale_blends_between_its_two_ends(phi: float) -> None:
    full = rescaled(Rescale(phi=1)).value
    torch.testing.assert_close(rescaled(Rescale(phi=phi)).value, phi * full + (1 - phi) * GUIDED)


@LAW
@given(phi=st.floats(0, 1), seed=st.integers(0, 99))
def test_rescale_equals_the_one_of_diffusers(phi: float, seed: int) -> None:
    """Its rescale_noise_cfg works on the network output, as ours does in the space `model`."""
    guided, cond = 2 * noise(seed), noise(seed + 100)
    expected = rescale_noise_cfg(guided, cond, guidance_rescale=phi)
    torch.testing.assert_close(rescaled(Rescale(phi=phi), guided, cond).value, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("value", [0.0, 0.1, 0.7, 1e3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rescale_of_a_constant_prediction_leaves_it(value: float, dtype: torch.dtype) -> None:
    """It has no deviation to match but that of rounding; diffusers divides by it."""
    constant = torch.full_like(GUIDED, value, dtype=dtype)
    assert torch.equal(rescaled(Rescale(phi=1), constant, COND.to(dtype)).value, constant)


def _as(before: Prediction, kind: Kind) -> Prediction:
    return Prediction(before.x, before.level, before.view(kind), kind)


def _bars(scheduler: DDIMScheduler, *times: int) -> list[tuple[int, Tensor]]:
    return [(t, scheduler.alphas_cumprod[t]) for t in times]
