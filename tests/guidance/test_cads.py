"""CADS, the condition-annealed diffusion sampler. Sadat et al. 2023, arXiv:2310.17347."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from guidance.conditions import CADS
from guidance.protocol import Condition, Step
from tests.guidance.steps import a_step, noise
from tests.guidance.strategies import LAW, drawn

TEXT = (1, 5, 6)
NOISED = {"tau1": 0.0, "tau2": 0.5}
"""At the first step nothing of the condition is left: gamma = 0."""


def text(step: Step, branch: str = "cond") -> Tensor:
    embedding: Tensor = getattr(step, branch).cond.embeddings["text"]
    return embedding


def annealed(cads: CADS, embedding: Tensor, **changes: Any) -> Tensor:
    return text(cads.apply(a_step(**changes).with_condition(Condition({"text": embedding}))))


def test_gamma_is_the_paper_s_ramp() -> None:
    """t = 1 - index / count falls from 1; gamma is 0 down to tau2, 1 from tau1, and linear between."""
    cads = CADS(tau1=0.6, tau2=0.9)
    gammas = [cads.gamma(index, 20) for index in range(20)]
    assert gammas[:3] == [0, 0, pytest.approx(0, abs=1e-15)]
    assert gammas[3:8] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6], abs=1e-12)
    assert gammas[8:] == pytest.approx([1] * 12, abs=1e-12)


@LAW
@given(cads=drawn(CADS), count=st.integers(1, 250))
def test_gamma_grows_within_0_and_1(cads: CADS, count: int) -> None:
    gammas = [cads.gamma(index, count) for index in range(count)]
    assert sorted(gammas) == gammas and 0 <= gammas[0] and gammas[-1] <= 1


@LAW
@given(cads=drawn(CADS, tau1=0.6, tau2=0.9), index=st.integers(4, 9))
def test_gamma_1_is_the_condition_exactly(cads: CADS, index: int) -> None:
    step = a_step(index=index)
    assert cads.apply(step) is step


@LAW
@given(scale=st.floats(0.01, 10), index=st.integers(0, 4))
def test_mixing_1_keeps_mean_and_deviation(scale: float, index: int) -> None:
    after = annealed(CADS(**NOISED, noise_scale=scale), 2 * noise(1, TEXT) + 3, index=index)
    torch.testing.assert_close(after.mean(), (2 * noise(1, TEXT) + 3).mean(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(after.std(), (2 * noise(1, TEXT)).std(), rtol=1e-10, atol=1e-10)


def test_gamma_0_leaves_nothing_of_the_condition_but_mean_and_deviation() -> None:
    one, other = noise(1, TEXT), noise(2, TEXT)
    other = (other - other.mean()) / other.std() * one.std() + one.mean()
    torch.testing.assert_close(annealed(CADS(**NOISED), one), annealed(CADS(**NOISED), other))


def test_no_noise_and_no_mixing_is_the_root_of_gamma_times_the_condition() -> None:
    cads = CADS(tau1=0.0, tau2=1.0, noise_scale=0, mixing=0)
    after = annealed(cads, noise(1, TEXT), index=3)
    torch.testing.assert_close(after, math.sqrt(cads.gamma(3, 10)) * noise(1, TEXT))


def test_noise_is_added_at_the_paper_s_scale() -> None:
    """sqrt(gamma) c + s sqrt(1 - gamma) n: of a zero condition, noise of deviation s sqrt(1 - gamma) is left."""
    after = annealed(CADS(tau1=0.0, tau2=1.0, noise_scale=0.25, mixing=0), torch.zeros(1, 100, 100), index=5)
    assert float(after.std()) == pytest.approx(0.25 * math.sqrt(0.5), rel=0.03)


def test_zero_embeddings_stay_finite() -> None:
    """The null condition of some models is all zeros, which has no deviation to keep."""
    assert torch.equal(annealed(CADS(**NOISED), torch.zeros(TEXT)), torch.zeros(TEXT))


def test_noise_is_fresh_at_each_step() -> None:
    step, cads = a_step(), CADS(tau1=0.0, tau2=0.5)
    assert not torch.equal(text(cads.apply(step)), text(cads.apply(replace(step, index=1))))


def test_equal_generators_give_equal_conditions() -> None:
    one, other = (annealed(CADS(**NOISED), noise(1, TEXT)) for _ in range(2))
    assert torch.equal(one, other)


@pytest.mark.parametrize(("apply_to", "untouched"), [("cond", True), ("both", False)])
def test_apply_to_says_whose_condition_is_noised(apply_to: str, untouched: bool) -> None:
    step = a_step()
    after = CADS.model_validate(NOISED | {"apply_to": apply_to}).apply(step)
    assert not torch.equal(text(after), text(step))
    assert (after.uncond.cond is step.uncond.cond) is untouched


def test_what_is_given_as_it_is_stays_as_it_is() -> None:
    condition = Condition({"text": noise(1, TEXT)}, {"mask": torch.ones(1, 5)})
    after = CADS(**NOISED).apply(a_step().with_condition(condition))
    assert after.cond.cond.given is condition.given


def test_notes_how_much_of_the_condition_is_left() -> None:
    for index in (0, 4, 9):
        step = a_step(index=index)
        CADS().apply(step)
        assert step.notes["cads_gamma"] == CADS().gamma(index, 10)


@pytest.mark.parametrize(("tau1", "tau2"), [(0.9, 0.6), (0.5, 0.5)])
def test_refuses_a_ramp_that_does_not_fall(tau1: float, tau2: float) -> None:
    with pytest.raises(ValidationError, match="must be below tau2"):
        CADS(tau1=tau1, tau2=tau2)
