"""The continuous log-SNR sampler against Bayes' rule, diffusers' DDPM and what it must land on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guidance.noise import Level, NoiseTable
from guidance.plan import plan
from guidance.prediction import Prediction
from guidance.samplers import HoSalimans
from guidance.samplers.ho_salimans import AncestralSolver
from guidance.spec import GuidanceSpec
from jobs.request import resolve_sampler
from tests.guidance.steps import noise
from tests.guidance.strategies import LAW, drawn
from tests.oracles import TABLE, Pair, constant

shares = st.floats(0, 1)
ZERO_SNR = NoiseTable(beta_schedule="scaled_linear", rescale_betas_zero_snr=True)


def at(log_snr: float) -> Level:
    return Level.variance_preserving(0, math.exp(-log_snr / 2))


@st.composite
def falling(draw: st.DrawFn) -> tuple[Level, Level]:
    """A level and a cleaner one, over all that the sampler may meet."""
    here = draw(st.floats(-20, 19.9))
    return at(here), at(draw(st.floats(here + 0.01, 20)))


def coefficients(levels: tuple[Level, Level], v: float) -> tuple[float, float, float]:
    return AncestralSolver([], v).coefficients(*levels)


# The step


@LAW
@given(levels=falling())
def test_at_v_0_the_step_is_the_posterior_by_bayes_rule(levels: tuple[Level, Level]) -> None:
    """Of x at the cleaner level, given x0 and x: precisions add, and means weighted by them."""
    here, there = levels
    decay = here.alpha / there.alpha
    forward = here.sigma**2 * -math.expm1(here.log_snr - there.log_snr)
    precision = 1 / there.sigma**2 + decay**2 / forward
    of_sample, of_denoised, deviation = coefficients(levels, 0)
    assert deviation**2 == pytest.approx(1 / precision, rel=1e-12)
    assert of_sample == pytest.approx(decay / forward / precision, rel=1e-9)
    assert of_denoised == pytest.approx(there.alpha / there.sigma**2 / precision, rel=1e-9)


@LAW
@given(levels=falling())
def test_at_v_1_the_noise_is_that_of_the_forward_process(levels: tuple[Level, Level]) -> None:
    """sigma^2 - (alpha / alpha')^2 sigma'^2: what is added from the cleaner level to the noisier one."""
    here, there = levels
    added = here.sigma**2 - (here.alpha / there.alpha) ** 2 * there.sigma**2
    assert coefficients(levels, 1)[2] ** 2 == pytest.approx(added, rel=1e-9, abs=1e-12)


@LAW
@given(levels=falling(), v=shares)
def test_v_interpolates_the_logarithm_of_the_variance(levels: tuple[Level, Level], v: float) -> None:
    small, large, between = (math.log(coefficients(levels, share)[2]) for share in (0, 1, v))
    assert between == pytest.approx((1 - v) * small + v * large, abs=1e-9)


@LAW
@given(levels=falling())
def test_unit_variance_is_kept_with_the_exact_denoiser(levels: tuple[Level, Level]) -> None:
    """Of N(0, 1), where D(x) = alpha x: exactly at v = 1, whose noise has the variance of the whole reverse step."""
    of_sample, of_denoised, deviation = coefficients(levels, 1)
    assert (of_sample + of_denoised * levels[0].alpha) ** 2 + deviation**2 == pytest.approx(1, abs=1e-12)


@LAW
@given(levels=falling())
def test_at_v_0_a_step_lacks_the_variance_of_what_it_takes_for_certain(levels: tuple[Level, Level]) -> None:
    """Of N(0, 1) at v = 0 unit variance is not kept: the posterior given x0 is sampled with D(x) in x0's place, and
    x0's variance given x, which is sigma^2 here, is missing from it."""
    here, _ = levels
    of_sample, of_denoised, deviation = coefficients(levels, 0)
    variance = (of_sample + of_denoised * here.alpha) ** 2 + deviation**2
    assert variance + of_denoised**2 * here.sigma**2 == pytest.approx(1, abs=1e-12)


@LAW
@given(levels=falling(), point=st.floats(-3, 3))
def test_a_single_point_is_reached_exactly_at_v_0(levels: tuple[Level, Level], point: float) -> None:
    """The other extreme: with D(x) = x0, mean alpha x0 and variance sigma^2 become those of the next level."""
    here, there = levels
    of_sample, of_denoised, deviation = coefficients(levels, 0)
    assert of_sample * here.alpha * point + of_denoised * point == pytest.approx(there.alpha * point, abs=1e-12)
    assert of_sample**2 * here.sigma**2 + deviation**2 == pytest.approx(there.sigma**2, rel=1e-12)


@LAW
@given(log_snr=st.floats(-20, 20), v=shares)
def test_a_step_to_the_same_level_is_the_identity(log_snr: float, v: float) -> None:
    assert coefficients((at(log_snr), at(log_snr)), v) == (1, 0, 0)
    near = coefficients((at(log_snr), at(log_snr + 1e-10)), v)
    assert near == pytest.approx((1, 0, 0), abs=2e-5)


@pytest.mark.parametrize(("v", "variance_type"), [(0.0, "fixed_small"), (1.0, "fixed_large")])
@pytest.mark.parametrize(("t", "after"), [(999, 800), (600, 599), (200, 3)])
def test_between_whole_timesteps_it_is_diffusers_ddpm(v: float, variance_type: str, t: int, after: int) -> None:
    """The same noise from the same generator. diffusers keeps its table in float32: largest difference 1e-5."""
    config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False}
    theirs = DDPMScheduler(**config, variance_type=variance_type)
    theirs.set_timesteps(timesteps=[t, after])
    levels = [Level.variance_preserving(k, float(TABLE.ratios[k])) for k in (t, after)]
    x, eps = noise(1), noise(2)
    solver, guided = AncestralSolver(levels, v), Prediction(x, levels[0], eps, "eps")
    ours = solver.advance(x, guided, 0, torch.Generator().manual_seed(3))
    expected = theirs.step(eps, t, x, generator=torch.Generator().manual_seed(3), return_dict=False)[0]
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


def test_the_last_step_returns_the_denoised_estimate() -> None:
    guided = Prediction(noise(1), at(0), noise(2), "eps")
    last = AncestralSolver([at(-3), at(0)], 0.3).advance(guided.x, guided, 1, torch.Generator())
    assert torch.equal(last, guided.denoised)


# The grid


@LAW
@given(sampler=st.integers(2, 250).flatmap(lambda steps: drawn(HoSalimans, steps=steps)))
def test_the_grid_is_the_paper_s(sampler: HoSalimans) -> None:
    """lambda = -2 ln tan(a u + b), from lambda_min at u = 1 to lambda_max at u = 0, within the model's range."""
    low = max(sampler.lambda_min, -2 * math.log(TABLE.ratios[-1]))
    high = min(sampler.lambda_max, -2 * math.log(TABLE.ratios[0]))
    b = math.atan(math.exp(-high / 2))
    a = math.atan(math.exp(-low / 2)) - b
    expected = [-2 * math.log(math.tan(a * u + b)) for u in np.linspace(1, 0, sampler.steps)]
    found = [level.log_snr for level in sampler.levels(TABLE)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    assert (found[0], found[-1]) == pytest.approx((low, high), abs=1e-9)


def test_the_model_s_time_is_interpolated() -> None:
    for level in HoSalimans(steps=50).levels(TABLE):
        ratio = np.exp(np.interp(level.t, np.arange(1000), np.log(TABLE.ratios)))
        assert level.ratio == pytest.approx(ratio, rel=1e-9)


def test_a_table_that_ends_at_zero_signal_is_begun_a_little_beside_it() -> None:
    levels = HoSalimans(steps=5).levels(ZERO_SNR)
    assert 0 < levels[0].alpha < 1e-3 and levels[0].t == 999


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-20, 20, "lambda -20 to 20 is cut to -5.36 to 7.07"),
        (-5, 20, "lambda -5 to 20 is cut to -5.36 to 7.07"),
        (-5, 7, None),
    ],
)
def test_a_range_beyond_the_model_s_is_cut_and_the_plan_says_so(low: float, high: float, said: str | None) -> None:
    sampler = HoSalimans(steps=5, lambda_min=low, lambda_max=high)
    warnings = plan(GuidanceSpec(), sampler, Pair().model().info).warnings
    assert (warnings[0].startswith(said) and len(warnings) == 1) if said else not warnings


def test_it_has_no_spacing_to_choose() -> None:
    assert resolve_sampler(HoSalimans(), Pair().model().info) == HoSalimans()
    with pytest.raises(ValidationError, match="spacing"):
        HoSalimans.model_validate({"spacing": "karras"})


# Whole trajectories: 4096 pixels, whose mean is known to 0.016 and whose variance to 0.022 (1 s.e. at std 1)


@pytest.mark.parametrize("steps", [2, 20, 200])
def test_unit_variance_is_kept_over_a_trajectory(steps: int) -> None:
    """At any number of steps, as each is exact at v = 1; the last ends in alpha x, of variance alpha^2."""
    sampler, unit = HoSalimans(steps=steps, v=1), Pair(0, 0, 1, 1, pixels=64)
    sample = unit.sample(constant(1), sampler) / sampler.levels(TABLE)[-1].alpha
    assert float(sample.var()) == pytest.approx(1, abs=0.07)
    assert float(sample.mean()) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("v", [0.0, 0.3])
def test_it_lands_on_the_shifted_gaussian(v: float) -> None:
    pair, weight = Pair(pixels=64), 2.5
    sample = pair.sample(constant(weight), HoSalimans(steps=200, v=v))
    assert float(sample.mean()) == pytest.approx(pair.guided_mean(weight), abs=0.03)
    assert float(sample.std()) == pytest.approx(pair.cond_std, abs=0.05)
