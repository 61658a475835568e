"""Momentum Guidance against its recursion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from guidance.corrections import Momentum
from guidance.prediction import Kind, Prediction
from guidance.samplers import Heun
from guidance.spec import GuidanceSpec
from tests.guidance.steps import a_step, noise, prediction
from tests.guidance.strategies import LAW, drawn
from tests.oracles import Pair

kinds = st.sampled_from(get_args(Kind))
ESTIMATES = [noise(seed) for seed in range(1, 6)]


def run(correction: Momentum, denoised: Sequence[Tensor], kind: Kind = "denoised", calls: int = 1) -> list[Tensor]:
    """Denoised estimates of evaluation after evaluation, `calls` of them a step, pushed."""
    memory: dict[str, Any] = {}
    pushed = []
    for k, estimate in enumerate(denoised):
        step = a_step(index=k // calls, call=k % calls, memory=memory)
        before = prediction(estimate, "denoised", step=step)
        guided = Prediction(before.x, before.level, before.view(kind), kind)
        pushed.append(correction.correct(guided, {}, step).denoised)
    return pushed


@LAW
@given(strength=st.floats(0, 5), decay=st.floats(0, 0.99), kind=kinds)
def test_it_is_the_recursion(strength: float, decay: float, kind: Kind) -> None:
    """out = D + a (D - m); m of the un-extrapolated D; m_0 = D."""
    average, expected = ESTIMATES[0], []
    for estimate in ESTIMATES:
        expected.append(estimate + strength * (estimate - average))
        average = (1 - decay) * estimate + decay * average
    after = run(Momentum(strength=strength, decay=decay), ESTIMATES, kind)
    torch.testing.assert_close(after, expected, rtol=1e-12, atol=1e-12)


@LAW
@given(strength=st.floats(0, 5), decay=st.floats(0, 0.99))
def test_the_average_weighs_the_past_geometrically(strength: float, decay: float) -> None:
    """In closed form: m_3 = b^2 D_0 + (1 - b) b D_1 + (1 - b) D_2."""
    a, b, d = strength, decay, ESTIMATES
    average = b**2 * d[0] + (1 - b) * b * d[1] + (1 - b) * d[2]
    after = run(Momentum(strength=a, decay=b), d[:4])
    torch.testing.assert_close(after[3], d[3] + a * (d[3] - average), rtol=1e-12, atol=1e-12)


@LAW
@given(decay=st.floats(0, 0.99))
def test_strength_0_is_the_identity(decay: float) -> None:
    assert all(
        torch.equal(a, b) for a, b in zip(run(Momentum(strength=0, decay=decay), ESTIMATES), ESTIMATES, strict=True)
    )


@LAW
@given(data=st.data())
def test_a_constant_estimate_is_not_pushed(data: st.DataObject) -> None:
    same = [ESTIMATES[0]] * 5
    torch.testing.assert_close(run(data.draw(drawn(Momentum)), same), same, rtol=0, atol=1e-12)


@LAW
@given(data=st.data())
def test_the_first_step_is_not_pushed(data: st.DataObject) -> None:
    assert torch.equal(run(data.draw(drawn(Momentum)), ESTIMATES[:1])[0], ESTIMATES[0])


@LAW
@given(strength=st.floats(0, 5), decay=st.floats(0, 0.99))
def test_a_second_evaluation_of_a_step_is_pushed_from_the_same_average_and_leaves_it(
    strength: float, decay: float
) -> None:
    correction = Momentum(strength=strength, decay=decay)
    first, second = ESTIMATES[:3], [5 * estimate for estimate in ESTIMATES[:3]]
    both = run(correction, [value for pair in zip(first, second, strict=True) for value in pair], calls=2)
    alone = run(correction, first)
    assert all(torch.equal(a, b) for a, b in zip(both[::2], alone, strict=True))
    if strength > 0.01:
        averages = [estimate - (out - estimate) / strength for estimate, out in zip(first, alone, strict=True)]
        expected = [d + strength * (d - m) for d, m in zip(second, averages, strict=True)]
        torch.testing.assert_close(both[1::2], expected, rtol=1e-9, atol=1e-9)


def test_memory_dies_with_its_trajectory() -> None:
    """Two trajectories of one spec give the same image."""
    spec, pair = GuidanceSpec.model_validate({"correction": [{"type": "momentum"}]}), Pair()
    first, second = (pair.sample(spec, Heun(steps=5)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, pair.sample(GuidanceSpec(), Heun(steps=5)))
