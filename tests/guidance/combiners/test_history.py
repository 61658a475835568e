"""What a combiner remembers of the steps before, and APG's momentum, which is that."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from guidance.combiners import APG
from guidance.combiners.history import keep, recall
from guidance.noise import Level
from guidance.protocol import Step
from tests.guidance.steps import a_step, guided, noise
from tests.guidance.strategies import LAW, drawn

FIRST, SECOND, THIRD = (torch.full((1,), float(k)) for k in range(3))


def at(sigma: float, call: int, memory: dict[str, Any], weight: float = 3.0) -> Step:
    return a_step(weight, start=Level.variance_preserving(1, sigma), call=call, memory=memory)


def along_a_path(apg: APG, answers: list[tuple[Tensor, Tensor]], weight: float = 3.0) -> list[Tensor]:
    """The guided estimates of successive steps of one trajectory."""
    memory: dict[str, Any] = {}
    return [guided(apg, at(10.0 - k, 0, memory, weight), *answer) for k, answer in enumerate(answers)]


def test_a_step_recalls_what_the_one_before_kept() -> None:
    memory: dict[str, Any] = {}
    assert recall(at(3, 0, memory), "mine") is None
    keep(at(3, 0, memory), "mine", FIRST)
    assert recall(at(2, 0, memory), "mine") is FIRST
    assert recall(at(2, 0, memory), "another's") is None


def test_a_second_evaluation_recalls_what_the_first_did_and_keeps_nothing() -> None:
    memory: dict[str, Any] = {}
    for sigma, value, past in ((3, FIRST, None), (2, SECOND, FIRST), (1, THIRD, SECOND)):
        for call in range(2):
            step = at(sigma, call, memory)
            assert recall(step, "mine") is past
            keep(step, "mine", torch.zeros(1) if call else value)
            assert recall(at(sigma, 1, memory), "mine") is past


def test_nothing_is_recalled_after_the_noise_level_rose() -> None:
    memory: dict[str, Any] = {}
    keep(at(1, 0, memory), "mine", FIRST)
    assert recall(at(2, 0, memory), "mine") is None
    keep(at(2, 0, memory), "mine", SECOND)
    assert recall(at(2, 1, memory), "mine") is None
    assert recall(at(1.5, 0, memory), "mine") is SECOND


def test_an_infinite_noise_level_is_no_rise() -> None:
    memory: dict[str, Any] = {}
    keep(at(float("inf"), 0, memory), "mine", FIRST)
    assert recall(at(50, 0, memory), "mine") is FIRST


def test_apg_pushes_both_evaluations_of_the_first_step_alike() -> None:
    """A second evaluation that saw the first in its momentum would push by a quarter at momentum = -0.75."""
    memory: dict[str, Any] = {}
    apg, cond, uncond = APG(momentum=-0.75), noise(1), noise(2)
    first, second = (guided(apg, at(3, call, memory), cond, uncond) for call in range(2))
    assert torch.equal(first, second)


def test_apg_has_no_momentum_after_the_noise_level_rose() -> None:
    memory: dict[str, Any] = {}
    guided(APG(), at(1, 0, memory), noise(5), noise(6))
    again = guided(APG(), at(2, 0, memory), noise(1), noise(2))
    assert torch.equal(again, guided(APG(), at(2, 0, {}), noise(1), noise(2)))


def test_apg_takes_its_momentum_from_the_first_evaluation_of_each_step() -> None:
    memory: dict[str, Any] = {}
    answers = [(noise(k), noise(k + 10)) for k in range(4)]
    guided(APG(), at(3, 0, memory), *answers[0])
    guided(APG(), at(3, 1, memory), *answers[1])
    last = guided(APG(), at(2, 0, memory), *answers[2])
    torch.testing.assert_close(last, along_a_path(APG(), [answers[0], answers[2]])[-1])


@LAW
@given(data=st.data(), weight=st.floats(1.5, 20), momentum=st.floats(-0.9, 0.9))
def test_apg_is_diffusers_over_three_steps(data: st.DataObject, weight: float, momentum: float) -> None:
    """With momentum too, to 1e-9: given the denoised estimates and w - 1 their original formulation is the paper's."""
    apg = data.draw(drawn(APG, momentum=momentum))
    answers, buffer = [(noise(k), noise(k + 10)) for k in range(3)], MomentumBuffer(momentum)
    for value, (cond, uncond) in zip(along_a_path(apg, answers, weight), answers, strict=True):
        threshold = apg.norm_threshold or 0.0  # their 0 is none
        theirs = normalized_guidance(cond, uncond, weight - 1, buffer, apg.eta, threshold, True)
        torch.testing.assert_close(value, theirs, rtol=1e-9, atol=1e-9)
