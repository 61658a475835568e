"""Schedules that a client writes out, and those that stop after a share of the steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diffusers import ClassifierFreeGuidance
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guidance.info import Problem
from guidance.models.gaussians import Gaussians
from guidance.plan import plan
from guidance.samplers import DDIM, Euler
from guidance.schedules import Constant, PerStep, Piecewise, Truncated
from guidance.spec import GuidanceSpec
from tests.guidance.curves import everywhere, over
from tests.guidance.strategies import LAW

INFO = Gaussians.pictures().info
counts = st.integers(2, 250)


def spec(**schedule: Any) -> GuidanceSpec:
    return GuidanceSpec.model_validate({"schedule": schedule})


def problems(steps: int, **schedule: Any) -> list[Problem]:
    return INFO.problems(spec(**schedule), DDIM(steps=steps))


@pytest.mark.parametrize(
    "schedule",
    [
        {"type": "beta", "weight": 3, "a": 1, "b": 1},
        {"type": "cosine", "max_weight": 3, "min_weight": 3},
        {"type": "dynamic_cfg", "weight": 3, "low": 1, "high": 1},
        {"type": "interval", "weight": 3, "sigma_low": 0, "sigma_high": None},
        {"type": "per_step", "weights": [3] * 20},
        {"type": "piecewise", "points": [{"at": 0, "weight": 3}, {"at": 1, "weight": 3}]},
        {"type": "truncated", "weight": 3, "ratio": 1},
        {"type": "warmup_cosine", "max_weight": 3, "min_weight": 3, "init_weight": 3},
    ],
    ids=lambda schedule: schedule["type"],
)
def test_schedules_of_one_weight_are_cfg(schedule: dict[str, Any]) -> None:
    """The same plan, call for call: the same weights and the same evaluations."""
    plain = plan(spec(type="constant", weight=3), Euler(steps=20), INFO)
    assert plan(spec(**schedule), Euler(steps=20), INFO) == plain


@pytest.mark.parametrize("kind", ["cosine", "sine", "beta", "piecewise", "per_step"])
def test_a_schedule_in_an_interval_costs_the_steps_and_those_inside(kind: str) -> None:
    sampler = Euler(steps=30)
    limited = plan(spec(type=kind, sigma_low=0.3, sigma_high=3.0), sampler, INFO)
    whole = plan(spec(type=kind), sampler, INFO)
    inside = [0.3 < call.level.ratio <= 3.0 for call in whole.calls]
    assert 0 < sum(inside) < 30 and limited.nfe == 30 + sum(inside)
    for call, in_it, before in zip(limited.calls, inside, whole.calls, strict=True):
        assert call.weight == (before.weight if in_it else None)


# A weight for each step


def test_per_step_is_its_list() -> None:
    schedule = PerStep(weights=(1.0, None, 7.5, 0.0))
    assert [schedule.at(index, 4, 1.0) for index in range(4)] == [1.0, None, 7.5, 0.0]


def test_per_step_null_is_the_conditional_prediction_alone() -> None:
    planned = plan(spec(type="per_step", weights=[3, None, 3, None, None]), DDIM(steps=5), INFO)
    assert [(call.weight, call.nfe) for call in planned.calls] == [(3, 2), (None, 1), (3, 2), (None, 1), (None, 1)]


def test_per_step_of_nulls_is_warned_of() -> None:
    [warning] = plan(spec(type="per_step", weights=[None] * 3), DDIM(steps=3), INFO).warnings
    assert warning.startswith("guidance is off at every step")


@pytest.mark.parametrize("steps", [4, 6, 30])
def test_per_step_of_another_length_is_refused_with_both_numbers(steps: int) -> None:
    [problem] = problems(steps, type="per_step", weights=[3] * 5)
    assert (problem.pointer, problem.code) == ("/guidance/schedule", "wrong_length")
    assert problem.detail == f"per_step has 5 weights and ddim takes {steps} steps: one weight a step"


def test_per_step_of_the_right_length_is_not() -> None:
    assert problems(5, type="per_step", weights=[3] * 5) == []
    assert problems(DDIM().steps, type="per_step") == []


@pytest.mark.parametrize("weights", [[], [3] * 251, [3, 1001], [3, "x"], 3])
def test_per_step_refuses_lists_that_no_sampler_could_take(weights: Any) -> None:
    with pytest.raises(ValidationError, match="weights"):
        PerStep.model_validate({"weights": weights})


# A curve through points


@LAW
@given(schedule=everywhere(Piecewise, over="progress"), count=counts)
def test_piecewise_is_numpy_s_interpolation(schedule: Piecewise, count: int) -> None:
    at, weights = zip(*((point.at, point.weight) for point in schedule.points), strict=True)
    expected = np.interp([index / (count - 1) for index in range(count)], at, weights)
    assert over(schedule, count) == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-9)


@LAW
@given(schedule=everywhere(Piecewise, over="sigma"), sigma=st.floats(1e-3, 2e6), index=st.integers(0, 29))
def test_piecewise_over_sigma_is_numpy_s_interpolation(schedule: Piecewise, sigma: float, index: int) -> None:
    at, weights = zip(*((point.at, point.weight) for point in schedule.points), strict=True)
    assert schedule.at(index, 30, sigma) == pytest.approx(float(np.interp(sigma, at, weights)), rel=1e-9, abs=1e-9)


def test_piecewise_goes_through_its_points_and_stays_beyond_them() -> None:
    points = [{"at": 0.25, "weight": 2}, {"at": 0.5, "weight": 6}, {"at": 0.75, "weight": 4}]
    weights = [2, 2, 2, 4, 6, 5, 4, 4, 4]
    assert over(Piecewise.model_validate({"points": points}), 9) == weights
    noise = Piecewise.model_validate({"points": points, "over": "sigma"})
    assert [noise.at(0, 30, sigma) for sigma in (1e-9, 0.25, 0.375, 0.5, 0.75, 80.0, float("inf"))] == [
        2,
        2,
        4,
        6,
        4,
        4,
        4,
    ]


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ((0.5,), "at least 2"),
        ((0.5, 0.2), "sorted"),
        ((0.5, 0.5), "sorted"),
        ((0, 1.5), "1.5 is past the end"),
        ((-1, 0), "at"),
    ],
)
def test_piecewise_refuses_points_that_make_no_curve(at: tuple[float, ...], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Piecewise.model_validate({"points": [{"at": place, "weight": 1} for place in at]})


def test_piecewise_over_sigma_goes_beyond_1() -> None:
    assert Piecewise.model_validate({"over": "sigma", "points": [{"at": 0, "weight": 1}, {"at": 80, "weight": 2}]})


# Truncation


@LAW
@given(eighths=st.integers(0, 64), count=st.integers(1, 250))
def test_truncated_is_diffusers_guider_that_stops(eighths: int, count: int) -> None:
    """At ratios that binary holds. Elsewhere they may differ by a step: int(0.29 * 100) is 28, (28 + 1) / 100 <= 0.29.

    Ours is Lumina2Pipeline's comparison, (i + 1) / N > ratio.
    """
    ratio = eighths / 64
    schedule, guider = Truncated(weight=4.0, ratio=ratio), ClassifierFreeGuidance(guidance_scale=4.0, stop=ratio)
    for index in range(count):
        guider.set_state(index, count, None)
        assert schedule.at(index, count, 1.0) == (4.0 if guider.num_conditions == 2 else None)
        assert (schedule.at(index, count, 1.0) is None) == ((index + 1) / count > ratio)


@LAW
@given(truncation=st.floats(0.01, 0.99), count=counts)
def test_truncation_in_time_is_a_lower_edge(truncation: float, count: int) -> None:
    """Z-Image: no guidance where 1 - t > truncation, t from 1 to 0; sigma / alpha is t / (1 - t) in its flow."""
    schedule = Constant(weight=4.0, sigma_low=(1 - truncation) / truncation)
    for t in (1 - index / count for index in range(1, count)):
        if abs(1 - t - truncation) > 1e-9:
            assert (schedule.at(0, count, t / (1 - t)) is None) == (1 - t > truncation)


def test_truncated_preset_is_the_first_quarter() -> None:
    schedule = GuidanceSpec.model_validate({"preset": "truncated_lumina2"}).schedule
    assert [schedule.at(index, 50, 1.0) for index in range(50)] == [4.0] * 12 + [None] * 38
