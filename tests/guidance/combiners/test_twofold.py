"""Combiners of c and u against their formulas: APG, CFG-Zero*, TCFG, FDG, MAMBO-G, ADG, power-law, beta-CFG."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers.guiders.adaptive_projected_guidance import normalized_guidance
from diffusers.guiders.classifier_free_zero_star_guidance import cfg_zero_star_scale
from diffusers.guiders.magnitude_aware_guidance import mambo_guidance
from diffusers.guiders.tangential_classifier_free_guidance import normalized_guidance as tangential
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from guidance.combiners import ADG, APG, CFG, FDG, MAMBOG, TCFG, BetaCFG, CFGZero, Combiner, PowerLaw
from guidance.combiners.cfg_zero import scale
from guidance.combiners.fdg import pyramid, resized
from guidance.combiners.tcfg import shared
from guidance.noise import Level
from tests.guidance.steps import a_step, guided, noise
from tests.guidance.strategies import LAW

COND, UNCOND = noise(1), noise(2)
DIFFERENCE = COND - UNCOND
moderate = st.floats(-20, 20)
above = st.floats(1.01, 20)


def plain(weight: float, cond: Tensor = COND, uncond: Tensor = UNCOND) -> Tensor:
    return uncond + weight * (cond - uncond)


def dot(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum())


@pytest.mark.parametrize(
    "combiner",
    [
        APG(eta=1, norm_threshold=None, momentum=0),
        FDG(factors=(1, 1, 1)),
        MAMBOG(alpha=0),
        PowerLaw(power=0),
        BetaCFG(gamma=0),
    ],
    ids=lambda combiner: combiner.type,
)
@LAW
@given(weight=moderate)
def test_at_its_neutral_parameters_it_is_cfg(combiner: Combiner, weight: float) -> None:
    torch.testing.assert_close(guided(combiner, a_step(weight), COND, UNCOND), plain(weight), rtol=1e-11, atol=1e-11)


# Sadat et al. 2024, arXiv:2410.02416


@LAW
@given(weight=above)
def test_apg_without_the_parallel_part_moves_across_the_conditional_estimate(weight: float) -> None:
    value = guided(APG(), a_step(weight), COND, UNCOND)
    assert dot(value - COND, COND) == pytest.approx(0, abs=1e-10)


@LAW
@given(weight=above, bound=st.floats(0.1, 10), eta=st.floats(-1, 1))
def test_apg_caps_the_push(weight: float, bound: float, eta: float) -> None:
    value = guided(APG(eta=eta, norm_threshold=bound), a_step(weight), COND, UNCOND)
    assert float((value - COND).norm()) <= (weight - 1) * bound * (1 + 1e-12)


def test_apg_momentum_of_a_constant_difference_converges() -> None:
    memory: dict[str, object] = {}
    combiner = APG(eta=1, norm_threshold=None, momentum=-0.5)
    for index in range(60):
        value = guided(combiner, a_step(2.0, index=index, memory=memory), COND, UNCOND)
    torch.testing.assert_close(value, COND + DIFFERENCE / 1.5, rtol=1e-12, atol=1e-12)


@LAW
@given(weight=above, eta=st.floats(-1, 2), bound=st.floats(0.5, 20))
def test_apg_is_diffusers_original_formulation(weight: float, eta: float, bound: float) -> None:
    """Its guider adds scale * d to the conditional output where asked for the original form: scale = w - 1."""
    ours = guided(APG(eta=eta, norm_threshold=bound), a_step(weight), COND, UNCOND)
    theirs = normalized_guidance(COND, UNCOND, weight - 1, None, eta, bound, use_original_formulation=True)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


# Fan et al. 2025, arXiv:2503.18886


def test_cfg_zero_leaves_a_rest_perpendicular_to_the_unconditional_velocity() -> None:
    assert dot(COND - scale(COND, UNCOND) * UNCOND, UNCOND) == pytest.approx(0, abs=1e-12)


@LAW
@given(weight=moderate, k=st.floats(0.1, 5))
def test_cfg_zero_of_parallel_velocities_is_the_conditional_one(weight: float, k: float) -> None:
    torch.testing.assert_close(guided(CFGZero(), a_step(weight), k * UNCOND, UNCOND), k * UNCOND, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [0.0, 1e-12, 1e-6, 1e-5])
def test_cfg_zero_of_a_vanishing_unconditional_velocity_scales_the_conditional_one(size: float) -> None:
    """Below the guard of 1e-8 on ||u||^2 the multiple of u is held back, and w c is left; above, it is subtracted."""
    value = guided(CFGZero(), a_step(3.0), COND, size * UNCOND)
    squared = max(size**2 * dot(UNCOND, UNCOND), 1e-8)
    scaled = size**2 * dot(COND, UNCOND) / squared * UNCOND
    torch.testing.assert_close(value, 3 * COND - 2 * scaled, rtol=1e-9, atol=1e-9)
    assert value.isfinite().all()


@LAW
@given(weight=moderate)
def test_cfg_zero_is_diffusers(weight: float) -> None:
    """Its dots are in float32, which for these two costs less than 1e-7."""
    if weight == 1:
        return
    factor = cfg_zero_star_scale(COND.flatten(1), UNCOND.flatten(1)).view(-1, 1, 1, 1)
    theirs = factor * UNCOND + weight * (COND - factor * UNCOND)
    torch.testing.assert_close(guided(CFGZero(), a_step(weight), COND, UNCOND), theirs, rtol=1e-7, atol=1e-7)


# Kwon et al. 2025, arXiv:2503.18137


def by_svd(cond: Tensor, uncond: Tensor) -> Tensor:
    _, _, rows = torch.linalg.svd(torch.stack([cond.flatten(), uncond.flatten()]), full_matrices=False)
    along: Tensor = dot(uncond.flatten(), rows[0]) * rows[0]
    return along.view_as(uncond)


@LAW
@given(seed=st.integers(0, 999), size=st.floats(0.01, 100))
def test_tcfg_gram_is_svd(seed: int, size: float) -> None:
    cond, uncond = noise(seed), size * noise(seed + 1)
    torch.testing.assert_close(shared(cond, uncond), by_svd(cond, uncond), rtol=1e-9, atol=1e-9 * size)


def test_tcfg_damping_is_idempotent() -> None:
    damped = shared(COND, UNCOND)
    direction = damped / damped.norm()
    torch.testing.assert_close(dot(UNCOND, direction) * direction, damped, rtol=1e-12, atol=1e-12)


@LAW
@given(weight=moderate, k=st.floats(0.1, 5))
def test_tcfg_of_parallel_predictions_is_cfg(weight: float, k: float) -> None:
    value = guided(TCFG(), a_step(weight), k * UNCOND, UNCOND)
    torch.testing.assert_close(value, plain(weight, k * UNCOND), rtol=1e-9, atol=1e-8)


def test_tcfg_is_diffusers() -> None:
    """Its guider decomposes in float32: largest difference 4e-6."""
    theirs = tangential(COND, UNCOND, 5.0)
    torch.testing.assert_close(guided(TCFG(), a_step(5.0), COND, UNCOND), theirs, rtol=0, atol=2e-5)


# Sadat et al. 2025, arXiv:2506.19713


@pytest.mark.parametrize("shape", [(1, 2, 16, 16), (1, 3, 13, 22), (2, 1, 3, 4), (1, 1, 2, 2), (1, 1, 64, 1)])
@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_a_pyramid_adds_up_to_its_image(shape: tuple[int, ...], count: int) -> None:
    image = noise(4, shape)
    levels = pyramid(image, count)
    back = levels[-1]
    for level in levels[-2::-1]:
        back = resized(back, level) + level
    assert len(levels) <= count
    torch.testing.assert_close(back, image, rtol=1e-12, atol=1e-12)


@LAW
@given(weight=moderate, factor=st.floats(-2, 3))
def test_fdg_of_equal_factors_is_cfg_of_one_weight(weight: float, factor: float) -> None:
    value = guided(FDG(factors=(factor, factor)), a_step(weight), COND, UNCOND)
    if weight != 1:
        torch.testing.assert_close(value, plain(1 + (weight - 1) * factor), rtol=1e-10, atol=1e-9)


@LAW
@given(weight=moderate, count=st.integers(1, 6))
def test_fdg_of_factors_0_is_the_conditional_prediction(weight: float, count: int) -> None:
    """A weight of 1 on every level."""
    cond, uncond = noise(1, (1, 2, 16, 12)), noise(2, (1, 2, 16, 12))
    value = guided(FDG(factors=(0,) * count), a_step(weight, x=cond), cond, uncond)
    torch.testing.assert_close(value, cond, rtol=1e-12, atol=1e-12)


@LAW
@given(weight=moderate, factors=st.tuples(*[st.floats(-5, 5)] * 3))
def test_fdg_is_linear_in_each_band(weight: float, factors: tuple[float, ...]) -> None:
    """c plus the share of each band alone."""
    cond, uncond = noise(1, (1, 2, 16, 12)), noise(2, (1, 2, 16, 12))

    def pushed(factors: tuple[float, ...]) -> Tensor:
        return guided(FDG(factors=factors), a_step(weight, x=cond), cond, uncond) - cond

    alone = [pushed(tuple(float(k == band) for k in range(3))) for band in range(3)]
    total = sum((factor * band for factor, band in zip(factors, alone, strict=True)), torch.zeros_like(cond))
    torch.testing.assert_close(pushed(factors), total, rtol=1e-10, atol=1e-9)


def test_fdg_pushes_a_constant_by_its_coarsest_factor_alone() -> None:
    flat = torch.full((1, 2, 16, 16), 0.5, dtype=torch.float64)
    value = guided(FDG(factors=(9.0, 3.0, 2.0)), a_step(2.0, x=flat), flat, torch.zeros_like(flat))
    torch.testing.assert_close(value, (1 + 2.0) * flat)


def test_fdg_s_preset_is_ten_on_high_and_five_on_low_frequencies() -> None:
    cond, uncond = noise(1, (1, 2, 16, 16)), noise(2, (1, 2, 16, 16))
    high, low = pyramid(cond - uncond, 2)
    value = guided(FDG(), a_step(5.0, x=cond), cond, uncond)
    torch.testing.assert_close(value, uncond + 10 * high + 5 * resized(low, high))


# MAMBO-G 2025, arXiv:2508.03442


@LAW
@given(weight=above, alpha=st.floats(0, 20))
def test_mambo_g_keeps_its_weight_between_1_and_the_scheduled_one(weight: float, alpha: float) -> None:
    step = a_step(weight)
    guided(MAMBOG(alpha=alpha), step, COND, UNCOND)
    assert 1 <= float(step.notes["effective_weight"]) <= weight


@LAW
@given(weight=above, alpha=st.floats(0, 20))
def test_mambo_g_is_diffusers(weight: float, alpha: float) -> None:
    """Its guider takes (N, C, L): four dimensions make it raise."""
    theirs = mambo_guidance(COND.flatten(2), UNCOND.flatten(2), weight, alpha).view_as(COND)
    torch.testing.assert_close(guided(MAMBOG(alpha=alpha), a_step(weight), COND, UNCOND), theirs, rtol=1e-9, atol=1e-9)


# Jin et al. 2025, arXiv:2506.11039


@LAW
@given(weight=st.floats(-20, 1))
def test_adg_turns_nothing_at_or_below_1(weight: float) -> None:
    torch.testing.assert_close(guided(ADG(), a_step(weight), COND, UNCOND), COND, rtol=1e-12, atol=1e-12)


@LAW
@given(weight=moderate, k=st.floats(0.1, 5))
def test_adg_of_parallel_estimates_is_the_conditional_one(weight: float, k: float) -> None:
    torch.testing.assert_close(guided(ADG(), a_step(weight), k * UNCOND, UNCOND), k * UNCOND, rtol=1e-6, atol=1e-6)


def test_adg_at_weight_1_through_its_formula_is_the_conditional_estimate() -> None:
    """A turn by nothing, without the shortcut that leaves the unconditional branch out at 1."""
    torch.testing.assert_close(ADG().combined(COND, UNCOND, a_step(1.0)), COND, rtol=0, atol=0)


def test_adg_stops_growing_with_the_weight() -> None:
    assert torch.equal(guided(ADG(), a_step(50.0), COND, UNCOND), guided(ADG(), a_step(500.0), COND, UNCOND))


@LAW
@given(weight=st.floats(1.01, 3), seed=st.integers(0, 99))
def test_adg_is_the_published_formula(weight: float, seed: int) -> None:
    """Written out for one sample; without the code's 0.001 on w - 1."""
    c, u = noise(seed), noise(seed) + 0.4 * noise(seed + 1)
    theta = math.acos(dot(c, u) / float(c.norm() * u.norm()))
    turn = min((weight - 1) * theta, math.pi / 3)
    d = (c - u) - dot(c - u, u) / dot(u, u) * u
    expected = math.cos(turn) * c + math.sin(turn) * d / math.sin(theta)
    torch.testing.assert_close(guided(ADG(), a_step(weight), c, u), expected, rtol=1e-8, atol=1e-8)


# Pavasovic et al. 2025, arXiv:2502.07849


@LAW
@given(weight=moderate, power=st.floats(0, 2), ratio=st.floats(0.05, 20))
def test_power_law_weighs_by_the_distance_of_the_scores(weight: float, power: float, ratio: float) -> None:
    level = Level.variance_preserving(1.0, ratio)
    value = guided(PowerLaw(power=power), a_step(weight, level=level), COND, UNCOND)
    distance = float((DIFFERENCE / level.sigma).norm())
    torch.testing.assert_close(value, COND + (weight - 1) * distance**power * DIFFERENCE, rtol=1e-9, atol=1e-9)


# Malarz et al. 2025, arXiv:2502.10574


@LAW
@given(weight=st.floats(0.01, 20))
def test_beta_cfg_at_gamma_1_pushes_by_the_weight(weight: float) -> None:
    value = guided(BetaCFG(), a_step(weight), COND, UNCOND)
    assert float((value - UNCOND).norm()) == pytest.approx(weight, rel=1e-10)


def test_beta_cfg_is_unconditional_at_both_ends() -> None:
    assert [len(next(BetaCFG().guide(a_step(weight)))) for weight in (0.0, 7.5)] == [1, 2]


def test_cfg_is_what_all_are_compared_with() -> None:
    torch.testing.assert_close(guided(CFG(), a_step(5.0), COND, UNCOND), plain(5.0))
