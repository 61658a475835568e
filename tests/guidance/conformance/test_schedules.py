"""What every weight schedule must do, whatever its shape."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guidance.registry import members
from guidance.schedules import Schedule
from tests.guidance.strategies import LAW, drawn

ALL: list[type[Schedule]] = [method for method in members("schedule") if issubclass(method, Schedule)]
every_schedule = pytest.mark.parametrize("method", ALL, ids=lambda method: method.type_name())

NEUTRAL: dict[str, dict[str, Any]] = {
    "constant": {"weight": 1},
    "cosine": {"max_weight": 1, "min_weight": 1},
    "interval": {"weight": 1},
    "warmup_cosine": {"max_weight": 1, "min_weight": 1, "init_weight": 1},
}
"""A setting of each schedule at which the conditional prediction is all there is."""

counts = st.integers(1, 250)
sigmas = st.floats(0, 200) | st.just(math.inf)


def test_every_declared_neutral_setting_is_tested() -> None:
    assert NEUTRAL.keys() == {method.type_name() for method in ALL if method.neutral}


@every_schedule
@LAW
@given(data=st.data(), count=counts, sigma=sigmas)
def test_is_finite_or_off_at_every_index(method: type[Schedule], data: st.DataObject, count: int, sigma: float) -> None:
    schedule = data.draw(drawn(method))
    weights = [schedule.at(index, count, sigma) for index in range(count)]
    assert all(weight is None or math.isfinite(weight) for weight in weights)


@every_schedule
@LAW
@given(data=st.data(), count=counts, sigma=sigmas)
def test_is_a_function_of_its_arguments(method: type[Schedule], data: st.DataObject, count: int, sigma: float) -> None:
    schedule, index = data.draw(drawn(method)), data.draw(st.integers(0, count - 1))
    before, first = schedule.model_copy(deep=True), schedule.at(index, count, sigma)
    assert [schedule.at(other, count, sigma) for other in reversed(range(count))][count - 1 - index] == first
    assert schedule == before


@pytest.mark.parametrize("method", [m for m in ALL if m.neutral], ids=lambda method: method.type_name())
@LAW
@given(data=st.data(), count=counts, sigma=sigmas)
def test_neutral_setting_is_the_conditional_model(
    method: type[Schedule], data: st.DataObject, count: int, sigma: float
) -> None:
    schedule = data.draw(drawn(method, **NEUTRAL[method.type_name()]))
    assert {schedule.at(index, count, sigma) for index in range(count)} <= {1.0, None}


@every_schedule
@LAW
@given(data=st.data(), count=counts)
def test_only_noise_levels_switch_guidance_off(method: type[Schedule], data: st.DataObject, count: int) -> None:
    """None depends on sigma alone: at one noise level, a schedule is on at every step or at none."""
    schedule, sigma = data.draw(drawn(method)), data.draw(sigmas)
    assert len({schedule.at(index, count, sigma) is None for index in range(count)}) == 1
