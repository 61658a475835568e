"""Condition swap: which steps a prompt holds, and what of it is exchanged. Balaji et al. 2022, arXiv:2211.01324."""

from __future__ import annotations

import math
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from guidance.conditions import Swap
from guidance.conditions.swap import Change
from guidance.protocol import Condition, drive
from guidance.samplers import DDIM
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory
from tests.guidance.steps import a_step, noise
from tests.guidance.strategies import LAW
from tests.oracles import Pair, a_trajectory

MODEL = Pair(uncond_std=0.8).model()


def spec(weight: float = 1.0, **condition: Any) -> GuidanceSpec:
    schedule = {"type": "constant", "weight": weight}
    return GuidanceSpec.model_validate({"schedule": schedule, "condition": [condition] if condition else []})


def sampled(guidance: GuidanceSpec) -> torch.Tensor:
    """Class 0, or class 1 where a swap names it."""
    return drive(a_trajectory(MODEL, guidance, DDIM(steps=10), 3).run(), MODEL.evaluate)


def to_class_1(at: float, weight: float = 1.0) -> GuidanceSpec:
    return spec(weight, type="swap", changes=[{"label": 1, "at": at}])


def test_a_swap_after_the_last_step_is_the_run_of_the_first_condition() -> None:
    assert torch.equal(sampled(to_class_1(1.0)), sampled(spec()))


def test_a_swap_before_the_first_step_is_the_run_of_the_second_condition() -> None:
    """Weight 0 is the unconditional model, which is class 1 here."""
    second = sampled(spec(0.0))
    assert torch.equal(sampled(to_class_1(0.0)), second)
    assert not torch.equal(second, sampled(spec()))


def test_each_step_follows_the_condition_that_holds_there() -> None:
    """Swapped after 3 of 10 steps: the network is asked for class 0 thrice, then for class 1."""
    trajectory = a_trajectory(MODEL, to_class_1(0.25), DDIM(steps=10), 3)
    asked: list[int] = []

    def evaluate(branches: Any) -> list[torch.Tensor]:
        asked.extend(int(branch.cond.given["prior"].argmax()) for branch in branches)
        return MODEL.evaluate(branches)

    drive(trajectory.run(), evaluate)
    assert asked == [0] * 3 + [1] * 7


@LAW
@given(at=st.floats(0, 1) | st.sampled_from([0.07, 0.3, 0.6, 0.93]), count=st.integers(1, 250))
def test_the_swap_is_at_step_ceil_of_its_share_of_the_steps(at: float, count: int) -> None:
    swap = Swap(changes=(Change(prompt="a star", at=at),))
    swapped = [swap.apply(step) is not step for step in (a_step(index=k, count=count) for k in range(count))]
    first = math.ceil(at * count)
    assert swapped == [False] * first + [True] * (count - first)


def test_all_of_a_condition_is_exchanged() -> None:
    """Embeddings, what is given beside them, and the words."""
    old, new = (
        Condition({"text": noise(k, (1, 5, 6)), "pooled": noise(k, (1, 6))}, {"mask": torch.ones(1, k)}, (str(k),))
        for k in (5, 6)
    )
    step, swap = a_step(others={"a star": new}), Swap(changes=(Change(prompt="a star", at=0.0),))
    after = swap.apply(step.with_condition(old))
    assert after.cond.cond is new and after.uncond is step.uncond


def test_the_last_change_that_has_come_holds() -> None:
    swap = Swap(changes=(Change(prompt="a star", at=0.2), Change(prompt="a longer prompt", at=0.5)))
    held = [swap.apply(step).cond.cond.embeddings["text"] for step in (a_step(index=k) for k in range(10))]
    others = a_step().others
    expected = [a_step().cond.cond, others["a star"], others["a longer prompt"]]
    places = [next(k for k, c in enumerate(expected) if torch.equal(c.embeddings["text"], text)) for text in held]
    assert places == [0, 0, 1, 1, 1, 2, 2, 2, 2, 2]


def test_a_fade_blends_the_embeddings_linearly() -> None:
    """Over 4 of 10 steps from the third on: shares of a quarter, a half, three quarters, all."""
    swap = Swap(changes=(Change(prompt="a star", at=0.2),), fade=0.4)
    old, new = a_step().cond.cond.embeddings["text"], a_step().others["a star"].embeddings["text"]
    for index, share in enumerate([0, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 1]):
        text = swap.apply(a_step(index=index)).cond.cond.embeddings["text"]
        torch.testing.assert_close(text, (1 - share) * old + share * new, rtol=1e-12, atol=1e-12)


def test_a_swap_costs_no_evaluation() -> None:
    trajectory: Trajectory = a_trajectory(MODEL, to_class_1(0.5, 3.0), DDIM(steps=10), 3)
    assert trajectory.plan.nfe == 20
