"""SMC-CFG, sliding-mode control. Wang et al. 2026, arXiv:2603.03281, as a public port has it."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guidance.combiners import CFG, SMC
from guidance.combiners.base import norm
from guidance.noise import Level
from tests.guidance.steps import a_step, guided, noise
from tests.guidance.strategies import LAW, drawn

COND, UNCOND = noise(1), noise(2)


@LAW
@given(data=st.data(), weight=st.floats(-50, 50))
def test_k_0_is_cfg_at_every_step(data: st.DataObject, weight: float) -> None:
    smc, memory = data.draw(drawn(SMC, k=0.0)), dict[str, Any]()
    for seed in range(3):
        step = a_step(weight, level=Level.variance_preserving(1, 5.0 - seed), memory=memory)
        value, plain = (guided(combiner, step, noise(seed), UNCOND) for combiner in (smc, CFG()))
        torch.testing.assert_close(value, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", ["unit", "sign"])
def test_three_steps_are_the_recursion(form: Literal["unit", "sign"]) -> None:
    smc, memory, weight = SMC(lam=2.0, k=0.3, form=form), dict[str, Any](), 4.0
    before = None
    for seed in range(3):
        cond, uncond = noise(seed), noise(seed + 10)
        e = cond - uncond
        before = e if before is None else before
        s = e - before + 2.0 * before
        before = e - 0.3 * (s.sign() if form == "sign" else s / s.norm())
        step = a_step(weight, level=Level.variance_preserving(1, 5.0 - seed), memory=memory)
        torch.testing.assert_close(guided(smc, step, cond, uncond), uncond + weight * before)


@LAW
@given(data=st.data(), weight=st.floats(0.1, 50), k=st.floats(0.01, 10))
def test_the_unit_form_moves_the_push_by_k(data: st.DataObject, weight: float, k: float) -> None:
    smc = data.draw(drawn(SMC, k=k, form="unit", lam=6.0))
    moved = guided(smc, a_step(weight), COND, UNCOND) - guided(CFG(), a_step(weight), COND, UNCOND)
    assert float(norm(moved)) == pytest.approx(weight * k, rel=1e-9)


def test_a_vanishing_surface_moves_nothing() -> None:
    """lambda = 0 at the first step: s = 0, which has no direction."""
    for form in ("unit", "sign"):
        value = guided(SMC(lam=0, form=form), a_step(3.0), COND, UNCOND)
        torch.testing.assert_close(value, guided(CFG(), a_step(3.0), COND, UNCOND))


@pytest.mark.parametrize("form", ["unit", "sign"])
def test_both_evaluations_of_a_step_see_the_step_before(form: Literal["unit", "sign"]) -> None:
    """Heun's second is corrected against the same past as its first, and leaves none of its own."""
    smc, memory = SMC(form=form, k=0.5), dict[str, Any]()
    high, low = (Level.variance_preserving(1, ratio) for ratio in (5.0, 4.0))
    guided(smc, a_step(3.0, level=high, start=high, memory=memory), COND, UNCOND)
    first = guided(smc, a_step(3.0, level=low, start=low, memory=memory), noise(3), noise(4))
    second = guided(smc, a_step(3.0, level=low, start=low, call=1, memory=memory), noise(3), noise(4))
    assert torch.equal(first, second)
    kept = memory["smc"].value
    torch.testing.assert_close(noise(4) + 3.0 * kept, first)


def test_at_weight_0_nothing_is_corrected_or_kept() -> None:
    memory = dict[str, Any]()
    assert torch.equal(guided(SMC(), a_step(0.0, memory=memory, needs=frozenset({"cond"})), COND, UNCOND), UNCOND)
    assert memory == {}
