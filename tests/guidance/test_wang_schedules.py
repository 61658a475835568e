"""The schedules of Wang et al. 2024, arXiv:2404.13040, against their formulas and the table of their means."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guidance.presets import PRESETS
from guidance.schedules import (
    ClampCosine,
    ClampLinear,
    Constant,
    InverseLinear,
    LambdaShape,
    Linear,
    PowerCosine,
    Sine,
    VShape,
    WangCosine,
)
from guidance.schedules.progress_schedule import ProgressSchedule
from guidance.spec import GuidanceSpec
from tests.guidance.curves import everywhere, over
from tests.guidance.strategies import LAW

NORMALISED: list[type[ProgressSchedule]] = [Linear, InverseLinear, WangCosine, Sine]
"""Those whose mean over the grid is exactly the weight."""

counts = st.integers(2, 250)
normalised = pytest.mark.parametrize("method", NORMALISED, ids=lambda method: method.type_name())


def mean(weights: list[float]) -> float:
    return math.fsum(weights) / len(weights)


@normalised
@LAW
@given(count=counts, weight=st.floats(-1000, 1000))
def test_means_of_the_table(method: type[ProgressSchedule], count: int, weight: float) -> None:
    """Normalised so that the guidance of a whole trajectory is that of the constant weight: mean w / omega = 1."""
    assert math.isclose(mean(over(method(weight=weight), count)), weight, rel_tol=1e-12, abs_tol=1e-12)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [(VShape(weight=1.0), 1.0204), (LambdaShape(weight=1.0), 0.9796), (PowerCosine(weight=1.0, s=1), 0.5)],
)
def test_means_of_the_table_at_50_steps(schedule: ProgressSchedule, expected: float) -> None:
    assert mean(over(schedule, 50)) == pytest.approx(expected, abs=5e-5)


def test_mean_of_the_powered_cosine_at_4() -> None:
    assert mean(over(PowerCosine(weight=1.0, s=4, grid="midpoint"), 250)) == pytest.approx(0.178, abs=5e-4)


@pytest.mark.parametrize("shape", [VShape, LambdaShape])
@pytest.mark.parametrize("literal", [False, True])
@LAW
@given(half=st.integers(1, 125))
def test_both_readings_of_v_and_lambda_are_normalised(shape: Any, literal: bool, half: int) -> None:
    """Exactly so where the grid is as symmetric as the curve."""
    weights = over(shape(weight=3.0, literal=literal, grid="midpoint"), 2 * half)
    assert mean(weights) == pytest.approx(3.0, rel=1e-12)


@LAW
@given(count=counts, weight=st.floats(-1000, 1000))
def test_linear_plus_inverse_linear_is_twice_the_weight(count: int, weight: float) -> None:
    pairs = zip(over(Linear(weight=weight), count), over(InverseLinear(weight=weight), count), strict=True)
    assert all(math.isclose(a + b, 2 * weight, rel_tol=1e-12) for a, b in pairs)


@LAW
@given(count=counts, weight=st.floats(-1000, 1000))
def test_cosine_plus_sine_is_twice_the_weight(count: int, weight: float) -> None:
    pairs = zip(over(WangCosine(weight=weight), count), over(Sine(weight=weight), count), strict=True)
    assert all(math.isclose(a + b, 2 * weight, rel_tol=1e-12) for a, b in pairs)


@LAW
@given(count=counts, weight=st.floats(-1000, 1000))
def test_powered_cosine_at_1_is_half_the_cosine(count: int, weight: float) -> None:
    half = [w / 2 for w in over(WangCosine(weight=weight), count)]
    assert over(PowerCosine(weight=weight, s=1), count) == pytest.approx(half, rel=1e-15, abs=0)


@pytest.mark.parametrize(("clamped", "base"), [(ClampLinear, Linear), (ClampCosine, WangCosine)])
@LAW
@given(count=counts, weight=st.floats(0, 1000), floor=st.floats(-1000, 1000))
def test_clamp_is_the_larger_of_curve_and_floor(
    clamped: Any, base: Any, count: int, weight: float, floor: float
) -> None:
    """An absolute weight, not a share of it, and not renormalised."""
    curve = over(base(weight=weight), count)
    assert over(clamped(weight=weight, floor=floor), count) == [max(w, floor) for w in curve]
    assert over(clamped(weight=weight, floor=0), count) == curve


@pytest.mark.parametrize("clamped", [ClampLinear, ClampCosine])
@LAW
@given(count=counts, weight=st.floats(0, 500), floor=st.floats(0, 1000))
def test_clamp_guides_at_least_as_much_as_the_constant_weight(
    clamped: Any, count: int, weight: float, floor: float
) -> None:
    """Not renormalised: mean w / omega >= 1."""
    assert mean(over(clamped(weight=weight, floor=floor), count)) >= weight * (1 - 1e-12)


@pytest.mark.parametrize("shape", [ClampLinear, ClampCosine, Linear, InverseLinear, WangCosine, Sine, VShape])
@LAW
@given(count=counts, weight=st.floats(0, 300), above=st.floats(0, 300))
def test_a_floor_above_the_curve_is_constant(shape: Any, count: int, weight: float, above: float) -> None:
    """No shape exceeds twice its weight; at a floor above it, all are plain CFG at the floor."""
    floor = 2 * weight * (1 + 1e-9) + above
    assert over(shape(weight=weight, floor=floor), count) == over(Constant(weight=floor), count)


@LAW
@given(count=counts, weight=st.floats(-1000, 1000))
def test_sine_is_the_paper_s_sine(count: int, weight: float) -> None:
    """1 + sin(pi t / T - pi / 2) in the paper's time, which runs from T to 0; cosine is 1 + cos(pi t / T)."""
    times = [1 - index / (count - 1) for index in range(count)]
    sine = [weight * (1 + math.sin(math.pi * t - math.pi / 2)) for t in times]
    cosine = [weight * (1 + math.cos(math.pi * t)) for t in times]
    assert over(Sine(weight=weight), count) == pytest.approx(sine, rel=1e-9, abs=1e-12)
    assert over(WangCosine(weight=weight), count) == pytest.approx(cosine, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("schedule", "weights"),
    [
        (Linear(weight=4.0), [0.0, 2.0, 4.0, 6.0, 8.0]),
        (InverseLinear(weight=4.0), [8.0, 6.0, 4.0, 2.0, 0.0]),
        (WangCosine(weight=4.0), [0.0, 4 - 8**0.5, 4.0, 4 + 8**0.5, 8.0]),
        (Sine(weight=4.0), [8.0, 4 + 8**0.5, 4.0, 4 - 8**0.5, 0.0]),
        (VShape(weight=4.0), [8.0, 4.0, 0.0, 4.0, 8.0]),
        (LambdaShape(weight=4.0), [0.0, 4.0, 8.0, 4.0, 0.0]),
        (VShape(weight=4.0, literal=True), [0.0, 4.0, 8.0, 4.0, 0.0]),
        (LambdaShape(weight=6.0, literal=True), [8.0, 6.0, 4.0, 6.0, 8.0]),
        (ClampLinear(weight=4.0, floor=3.0), [3.0, 3.0, 4.0, 6.0, 8.0]),
        (ClampCosine(weight=4.0, floor=3.0), [3.0, 3.0, 4.0, 4 + 8**0.5, 8.0]),
        (PowerCosine(weight=4.0, s=2), [4 * (1 - math.cos(math.pi * r**2)) / 2 for r in (0, 0.25, 0.5, 0.75, 1)]),
    ],
    ids=lambda value: value.type_name() if isinstance(value, ProgressSchedule) else "",
)
def test_curves_over_five_steps(schedule: ProgressSchedule, weights: list[float]) -> None:
    assert over(schedule, 5) == pytest.approx(weights, rel=1e-14, abs=1e-14)


@LAW
@given(count=counts)
def test_shapes_are_what_they_are_called(count: int) -> None:
    """V falls, then grows; lambda the other way round."""
    v, lambda_ = over(VShape(), count), over(LambdaShape(), count)
    down, up = v[: (count + 1) // 2], v[count // 2 :]
    assert down == sorted(down, reverse=True) and up == sorted(up) and (count == 2 or down[-1] < 10)
    assert [a + b for a, b in zip(v, lambda_, strict=True)] == pytest.approx([10.0] * count)


@LAW
@given(count=counts, weight=st.floats(-1000, 1000))
def test_the_port_s_v_is_lambda_once_normalised(count: int, weight: float) -> None:
    literal = over(VShape(weight=weight, literal=True), count)
    assert literal == pytest.approx(over(LambdaShape(weight=weight), count), rel=1e-12, abs=1e-12)


def test_a_later_power_grows_later() -> None:
    curves = [over(PowerCosine(s=s), 30) for s in (0.1, 1.0, 4.0)]
    assert curves[0][10] > curves[1][10] > curves[2][10]
    assert all((curve[0], curve[-1]) == (0.0, 10.0) for curve in curves)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("clamp_linear_sd15", {"type": "clamp_linear", "floor": 4.0}),
        ("clamp_linear_sdxl", {"type": "clamp_linear", "floor": 2.0}),
        ("power_cosine_sd15", {"type": "power_cosine", "s": 4.0}),
        ("power_cosine_sdxl", {"type": "power_cosine", "s": 0.1}),
    ],
)
def test_recommended_settings(name: str, fields: dict[str, Any]) -> None:
    schedule = GuidanceSpec.model_validate({"preset": name}).schedule.model_dump()
    assert fields.items() <= schedule.items()
    assert "not checked against the paper" in PRESETS[name].summary


# The grid and the floor, which all of them have


@pytest.mark.parametrize(
    ("grid", "weights"),
    [("left", [0.0, 2.0, 4.0, 6.0]), ("midpoint", [1.0, 3.0, 5.0, 7.0]), ("endpoints", [0.0, 8 / 3, 16 / 3, 8.0])],
)
def test_linear_reads_progress_where_its_grid_says(grid: str, weights: list[float]) -> None:
    assert over(Linear.model_validate({"weight": 4.0, "grid": grid}), 4) == pytest.approx(weights, rel=1e-15)


@LAW
@given(schedule=everywhere(Linear, floor=2.0), count=counts)
def test_linear_clamp_is_the_larger_of_line_and_floor(schedule: Linear, count: int) -> None:
    """The paper's clamp-linear; an absolute weight, not renormalised."""
    line = over(schedule.model_copy(update={"floor": None}), count)
    assert over(schedule, count) == [max(weight, 2.0) for weight in line]


@LAW
@given(count=counts)
def test_linear_clamp_at_zero_is_linear(count: int) -> None:
    assert over(Linear(floor=0.0), count) == over(Linear(), count)


@pytest.mark.parametrize("grid", ["endpoints", "midpoint", "left"])
def test_linear_of_a_single_step_is_the_weight(grid: str) -> None:
    assert over(Linear.model_validate({"weight": 4.0, "grid": grid}), 1) == [4.0]
