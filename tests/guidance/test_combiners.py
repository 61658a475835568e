"""Combiners against their formulas, driven by hand."""

from __future__ import annotations

import pytest
import torch
from diffusers import ClassifierFreeGuidance
from hypothesis import given
from hypothesis import strategies as st

from guidance.combiners import CFG, BaseNorm, Combiner, FullNorm, TNorm
from guidance.noise import Level
from guidance.prediction import Prediction
from tests.guidance.steps import a_step, guided, noise, prediction, through
from tests.guidance.strategies import LAW, weights
from tests.oracles import Pair

COND, UNCOND = noise(1), noise(2)
pushes = st.floats(0.01, 10)
"""Weights of T-Norm and FullNorm: shares of the unconditional prediction's length."""


def length(tensor: torch.Tensor) -> float:
    return float(tensor.norm())


# Ho & Salimans 2022, arXiv:2207.12598


def test_cfg_asks_for_both_branches_and_extrapolates() -> None:
    guide = CFG().guide(step := a_step(3.0))
    assert next(guide) == [step.cond, step.uncond]
    with pytest.raises(StopIteration) as done:
        guide.send([torch.ones(1), torch.zeros(1)])
    assert torch.equal(done.value.value, 3 * torch.ones(1))


@LAW
@given(weight=weights())
def test_cfg_three_forms_are_one(weight: float) -> None:
    """u + w (c - u), c + gamma (c - u) and (1 + gamma) c - gamma u with gamma = w - 1."""
    gamma, value = weight - 1, guided(CFG(), a_step(weight), COND, UNCOND)
    rounding = 1e-12 * (1 + abs(weight))
    torch.testing.assert_close(value, COND + gamma * (COND - UNCOND), rtol=1e-12, atol=rounding)
    torch.testing.assert_close(value, (1 + gamma) * COND - gamma * UNCOND, rtol=1e-12, atol=rounding)


@LAW
@given(weight=st.floats(-20, 20), ratio=st.floats(0.05, 50), kind=st.sampled_from(["eps", "v", "denoised"]))
def test_cfg_affine_invariance(weight: float, ratio: float, kind: str) -> None:
    """Coefficients that sum to 1 give the same denoised estimate through eps, v and denoised."""
    step = a_step(weight, level=Level.variance_preserving(1, ratio))
    cond, uncond = prediction(COND, "denoised", step=step), prediction(UNCOND, "denoised", step=step)
    got = through(kind, CFG(), step, cond, uncond)  # type: ignore[arg-type]
    torch.testing.assert_close(got.denoised, UNCOND + weight * (COND - UNCOND), rtol=1e-11, atol=1e-9)


@LAW
@given(weight=st.floats(-20, 20), ratio=st.floats(0.05, 50), seed=st.integers(0, 99))
def test_cfg_of_equal_variances_is_the_denoiser_of_a_shifted_gaussian(weight: float, ratio: float, seed: int) -> None:
    """Data N(m_c, V) and N(m_u, V): guidance is exactly the model of N(m_u + w (m_c - m_u), V)."""
    pair, level, x = Pair(), Level.variance_preserving(1, ratio), noise(seed, (1, 1, 4, 4))
    model, shifted = pair.model(), Pair(pair.guided_mean(weight)).model()
    cond, uncond = (model.eps(x, level.alpha, level.sigma, model.label(k).given["prior"]) for k in range(2))
    got = Prediction(x, level, guided(CFG(), a_step(weight, x=x, level=level), cond, uncond), "eps")
    exact = shifted.eps(x, level.alpha, level.sigma, shifted.label(0).given["prior"])
    torch.testing.assert_close(got.value, exact, rtol=1e-10, atol=1e-10)


@LAW
@given(weight=st.floats(-20, 20))
def test_cfg_is_diffusers(weight: float) -> None:
    """The same line: to rounding."""
    theirs = ClassifierFreeGuidance(guidance_scale=weight).forward(COND, UNCOND).pred
    if theirs is not COND:  # near 1 it does not guide
        torch.testing.assert_close(guided(CFG(), a_step(weight), COND, UNCOND), theirs, rtol=0, atol=1e-12)


def test_cfg_evaluates_the_conditional_branch_alone_at_1_and_the_unconditional_alone_at_0() -> None:
    assert [[b.name for b in next(CFG().guide(a_step(weight)))] for weight in (1.0, 0.0)] == [["cond"], ["uncond"]]


# BaseNorm, T-Norm and FullNorm: fast.ai forums 2022, formulas as in the notebook's code


@LAW
@given(weight=weights())
def test_base_norm_has_the_length_of_the_unconditional_prediction(weight: float) -> None:
    value = guided(BaseNorm(), a_step(weight), COND, UNCOND)
    assert length(value) == pytest.approx(length(UNCOND), rel=1e-12)


@LAW
@given(weight=weights())
def test_base_norm_points_where_cfg_points(weight: float) -> None:
    value, plain = (guided(combiner, a_step(weight), COND, UNCOND) for combiner in (BaseNorm(), CFG()))
    torch.testing.assert_close(value / length(value), plain / length(plain))


def test_base_norm_at_1_is_the_conditional_prediction_rescaled() -> None:
    value = guided(BaseNorm(), a_step(1.0), COND, UNCOND)
    torch.testing.assert_close(value, COND * length(UNCOND) / length(COND))


@LAW
@given(weight=pushes)
def test_t_norm_pushes_by_a_share_of_the_unconditional_length(weight: float) -> None:
    value = guided(TNorm(), a_step(weight), COND, UNCOND)
    assert length(value - UNCOND) == pytest.approx(weight * length(UNCOND), rel=1e-12)


@LAW
@given(weight=pushes, factor=st.floats(1e-3, 1e3))
def test_t_norm_does_not_see_how_far_the_predictions_are_apart(weight: float, factor: float) -> None:
    value = guided(TNorm(), a_step(weight), COND, UNCOND)
    scaled = guided(TNorm(), a_step(weight), UNCOND + factor * (COND - UNCOND), UNCOND)
    torch.testing.assert_close(scaled, value, rtol=1e-10, atol=1e-10)


def test_t_norm_is_cfg_at_the_weight_its_share_amounts_to() -> None:
    effective = 0.15 * length(UNCOND) / length(COND - UNCOND)
    value, plain = guided(TNorm(), a_step(0.15), COND, UNCOND), guided(CFG(), a_step(effective), COND, UNCOND)
    torch.testing.assert_close(value, plain)


@LAW
@given(weight=pushes)
def test_full_norm_has_the_length_of_the_unconditional_prediction(weight: float) -> None:
    value = guided(FullNorm(), a_step(weight), COND, UNCOND)
    assert length(value) == pytest.approx(length(UNCOND), rel=1e-12)


@LAW
@given(weight=pushes)
def test_full_norm_points_where_t_norm_points(weight: float) -> None:
    full, push = (guided(combiner, a_step(weight), COND, UNCOND) for combiner in (FullNorm(), TNorm()))
    torch.testing.assert_close(full / length(full), push / length(push))


@pytest.mark.parametrize("combiner", [BaseNorm(), TNorm(), FullNorm()], ids=lambda combiner: combiner.type)
def test_norms_at_0_are_the_unconditional_prediction(combiner: Combiner) -> None:
    assert torch.equal(guided(combiner, a_step(0.0), COND, UNCOND), UNCOND)


@pytest.mark.parametrize("combiner", [TNorm(), FullNorm()], ids=lambda combiner: combiner.type)
def test_relative_pushes_warn_of_weights_meant_for_cfg(combiner: Combiner) -> None:
    assert combiner.warnings([0.05, 0.25]) == combiner.warnings([]) == []
    [warning] = combiner.warnings([0.05, 7.5])
    assert combiner.type_name() in warning and "7.5" in warning
