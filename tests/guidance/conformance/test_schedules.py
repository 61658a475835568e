"""What every weight schedule must do, whatever its shape."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guidance.registry import members
from guidance.schedules import Schedule
from tests.guidance.curves import everywhere
from tests.guidance.strategies import LAW, drawn

ALL: list[type[Schedule]] = [method for method in members("schedule") if issubclass(method, Schedule)]
every_schedule = pytest.mark.parametrize("method", ALL, ids=lambda method: method.type_name())

NEUTRAL: dict[str, dict[str, Any]] = {
    "beta": {"weight": 1, "a": 1, "b": 1},
    "constant": {"weight": 1},
    "cosine": {"max_weight": 1, "min_weight": 1},
    "dynamic_cfg": {"weight": 1, "domain": "time", "low": 1, "high": 1},
    "interval": {"weight": 1},
    "per_step": {"weights": [1, None, 1, 1]},
    "piecewise": {"points": [{"at": 0.2, "weight": 1}, {"at": 0.7, "weight": 1}]},
    "truncated": {"weight": 1},
    "warmup_cosine": {"max_weight": 1, "min_weight": 1, "init_weight": 1},
}
"""A setting of each schedule at which the conditional prediction is all there is."""

sigmas = st.floats(0, 200, exclude_min=True) | st.just(math.inf)


@st.composite
def running(draw: st.DrawFn, schedules: st.SearchStrategy[Schedule]) -> tuple[Schedule, int]:
    """A schedule with a number of steps that it can run in."""
    schedule = draw(schedules)
    return schedule, schedule.length or draw(st.integers(1, 250))


def test_every_declared_neutral_setting_is_tested() -> None:
    assert NEUTRAL.keys() == {method.type_name() for method in ALL if method.neutral}


@every_schedule
@LAW
@given(data=st.data(), sigma=sigmas)
def test_is_finite_or_off_at_every_index(method: type[Schedule], data: st.DataObject, sigma: float) -> None:
    schedule, count = data.draw(running(everywhere(method)))
    weights = [schedule.at(index, count, sigma) for index in range(count)]
    assert all(weight is None or math.isfinite(weight) for weight in weights)


@every_schedule
@LAW
@given(data=st.data(), sigma=sigmas)
def test_is_a_function_of_its_arguments(method: type[Schedule], data: st.DataObject, sigma: float) -> None:
    schedule, count = data.draw(running(drawn(method)))
    index = data.draw(st.integers(0, count - 1))
    before, first = schedule.model_copy(deep=True), schedule.at(index, count, sigma)
    assert [schedule.at(other, count, sigma) for other in reversed(range(count))][count - 1 - index] == first
    assert schedule == before


@pytest.mark.parametrize("method", [m for m in ALL if m.neutral], ids=lambda method: method.type_name())
@LAW
@given(data=st.data(), sigma=sigmas)
def test_neutral_setting_is_the_conditional_model(method: type[Schedule], data: st.DataObject, sigma: float) -> None:
    schedule, count = data.draw(running(drawn(method, **NEUTRAL[method.type_name()])))
    assert {schedule.at(index, count, sigma) for index in range(count)} <= {1.0, None}


@pytest.mark.parametrize("method", [m for m in ALL if not m.off_by_step], ids=lambda method: method.type_name())
@LAW
@given(data=st.data(), sigma=sigmas)
def test_only_noise_levels_switch_guidance_off(method: type[Schedule], data: st.DataObject, sigma: float) -> None:
    """None depends on sigma alone: at one noise level, a schedule is on at every step or at none."""
    schedule, count = data.draw(running(drawn(method)))
    assert len({schedule.at(index, count, sigma) is None for index in range(count)}) == 1


@pytest.mark.parametrize("method", [m for m in ALL if m.off_by_step], ids=lambda method: method.type_name())
def test_a_schedule_off_by_step_can_be_off_anywhere_and_on_beside_it(method: type[Schedule]) -> None:
    """The declaration is not a way around the test above."""
    off = {"per_step": {"weights": [2, None]}, "truncated": {"ratio": 0.5}}[method.type_name()]
    schedule = method.model_validate(off)
    assert [schedule.at(index, 2, 1.0) is None for index in range(2)] == [False, True]


@every_schedule
@LAW
@given(data=st.data(), sigma=sigmas, low=st.floats(0, 100), width=st.floats(0.001, 100) | st.none())
def test_interval_wins_outside_and_changes_nothing_inside(
    method: type[Schedule], data: st.DataObject, sigma: float, low: float, width: float | None
) -> None:
    """Kynkäänniemi et al. 2024, arXiv:2404.07724, eq. 5, with any schedule for its weight; (low, high]."""
    high = None if width is None else low + width
    whole, count = data.draw(running(everywhere(method)))
    limited = method.model_validate(whole.model_dump() | {"sigma_low": low, "sigma_high": high})
    for at in (sigma, low, math.nextafter(low, math.inf), *([] if high is None else [high, math.nextafter(high, 999)])):
        inside = low < at and (high is None or at <= high)
        for index in {0, count // 2, count - 1}:
            assert limited.at(index, count, at) == (whole.at(index, count, at) if inside else None)


@every_schedule
def test_interval_refuses_edges_that_hold_nothing(method: type[Schedule]) -> None:
    for low, high in ((2.0, 1.0), (1.0, 1.0), (-1.0, 1.0), (0.0, 0.0)):
        with pytest.raises(ValueError, match=r"sigma_(low|high)"):
            method.model_validate({"sigma_low": low, "sigma_high": high})
