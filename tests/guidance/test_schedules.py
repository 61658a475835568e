"""Weight schedules against their formulas and published values."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guidance.samplers.grid import karras
from guidance.schedules import Constant, Cosine, Interval, Linear, Schedule, WarmupCosine
from tests.guidance.strategies import LAW, drawn

EDM = karras(32, 80.0, 0.002)
"""The 32 noise levels of Kynkäänniemi et al. 2024 (rho = 7)."""

counts = st.integers(2, 250)


def over(schedule: Schedule, count: int, sigma: float = 1.0) -> list[float]:
    weights = [schedule.at(index, count, sigma) for index in range(count)]
    assert None not in weights
    return [weight for weight in weights if weight is not None]


# Wang et al. 2024, arXiv:2404.13040: linear


@LAW
@given(count=counts, weight=st.floats(-1000, 1000))
def test_linear_has_the_mean_of_the_table(count: int, weight: float) -> None:
    """Normalised so that the guidance of a whole trajectory is that of the constant weight: mean w / omega = 1."""
    assert math.isclose(sum(over(Linear(weight=weight), count)) / count, weight, rel_tol=1e-12, abs_tol=1e-12)


@LAW
@given(count=counts)
def test_linear_plus_its_mirror_image_is_twice_the_weight(count: int) -> None:
    weights = over(Linear(weight=3.0), count)
    assert all(math.isclose(a + b, 6.0) for a, b in zip(weights, reversed(weights), strict=True))


def test_linear_starts_unconditional_and_ends_at_twice_the_weight() -> None:
    assert over(Linear(weight=4.0), 5) == [0.0, 2.0, 4.0, 6.0, 8.0]


@pytest.mark.parametrize(
    ("grid", "weights"),
    [("left", [0.0, 2.0, 4.0, 6.0]), ("midpoint", [1.0, 3.0, 5.0, 7.0]), ("endpoints", [0.0, 8 / 3, 16 / 3, 8.0])],
)
def test_linear_reads_progress_where_its_grid_says(grid: str, weights: list[float]) -> None:
    assert over(Linear.model_validate({"weight": 4.0, "grid": grid}), 4) == pytest.approx(weights, rel=1e-15)


@LAW
@given(schedule=drawn(Linear, floor=2.0), count=counts)
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


# timm's CosineLRScheduler: one cycle, warmup_prefix=False, k_decay=1


def test_timm_warmup_cosine_reference_values() -> None:
    values = over(WarmupCosine(max_weight=7.5, min_weight=0.15, init_weight=0.15, warmup_fraction=0.1), 50)
    expected = [0.15, 1.62, 3.09, 4.56, 6.03, 7.320133, 7.241929]
    assert values[:7] == pytest.approx(expected, abs=5e-7)
    assert values[-1] == pytest.approx(0.157252, abs=5e-7)


def test_timm_cosine_reference_values() -> None:
    values = over(Cosine(max_weight=7.5, min_weight=0.15), 50)
    assert values[0] == 7.5
    assert values[25] == pytest.approx(3.825, abs=1e-12)
    assert values[-1] == pytest.approx(0.15 + 3.675 * (1 + math.cos(math.pi * 49 / 50)), abs=1e-12)
    assert sum(values) / 50 == pytest.approx(3.8985, abs=1e-12)


@LAW
@given(count=counts, schedule=drawn(Cosine))
def test_warmup_of_no_steps_is_cosine(count: int, schedule: Cosine) -> None:
    ends = {"max_weight": schedule.max_weight, "min_weight": schedule.min_weight}
    assert over(WarmupCosine(**ends, warmup_fraction=0), count) == over(schedule, count)


@LAW
@given(count=counts, weight=st.floats(-1000, 1000))
def test_cosine_between_equal_ends_is_constant(count: int, weight: float) -> None:
    assert over(Cosine(max_weight=weight, min_weight=weight), count) == over(Constant(weight=weight), count)


@LAW
@given(count=st.integers(1, 250), schedule=drawn(WarmupCosine))
def test_warmup_stands_on_the_cosine_once_it_is_over(count: int, schedule: WarmupCosine) -> None:
    """The cosine is not shifted by the warm-up, so the peak is never reached."""
    warmup = int(count * schedule.warmup_fraction)
    cosine = Cosine(max_weight=schedule.max_weight, min_weight=schedule.min_weight)
    assert over(schedule, count)[warmup:] == over(cosine, count)[warmup:]


# Kynkäänniemi et al. 2024, arXiv:2404.07724: a limited interval


def test_interval_of_everything_is_cfg() -> None:
    schedule = Interval(weight=3.0, sigma_low=0, sigma_high=None)
    assert [schedule.at(0, 10, sigma) for sigma in (1e-9, 1.0, 80.0, math.inf)] == [3.0] * 4


def test_interval_of_nothing_is_the_conditional_model() -> None:
    schedule = Interval(sigma_low=1.0, sigma_high=math.nextafter(1.0, 2.0))
    assert [schedule.at(0, 32, sigma) for sigma in EDM] == [None] * 32


def test_interval_is_open_below_and_closed_above() -> None:
    schedule = Interval(weight=3.0, sigma_low=0.28, sigma_high=5.42)
    assert [schedule.at(0, 10, sigma) for sigma in (0.28, 0.2801, 5.42, 5.4201)] == [None, 3.0, 3.0, None]


def test_interval_edm_grid_indices() -> None:
    """The published steps 17 to 22 of 32 are sigma 1.609 to 0.283, which is the paper's (0.19, 1.61]."""
    assert (EDM[17], EDM[22], EDM[23]) == pytest.approx((1.609, 0.283, 0.189), abs=5e-4)
    schedule = Interval(weight=2.0, sigma_low=0.19, sigma_high=1.61)
    inside = [index for index, sigma in enumerate(EDM) if schedule.at(index, 32, sigma) is not None]
    assert inside == [17, 18, 19, 20, 21, 22]


def test_interval_means_the_same_at_another_step_count() -> None:
    """Indices 17 to 22 of 64 steps would be sigma 15.3 to 8.6."""
    schedule, fine = Interval(sigma_low=0.19, sigma_high=1.61), karras(64, 80.0, 0.002)
    inside = [sigma for sigma in fine if schedule.at(0, 64, sigma) is not None]
    assert 0.19 < min(inside) and max(inside) <= 1.61 and len(inside) in (12, 13)
    assert (fine[17], fine[22]) == pytest.approx((15.3, 8.6), abs=0.05)


@pytest.mark.parametrize(("low", "high"), [(2.0, 1.0), (1.0, 1.0), (-1.0, 1.0), (0.0, 0.0)])
def test_interval_refuses_edges_that_hold_nothing(low: float, high: float) -> None:
    with pytest.raises(ValidationError, match=r"sigma_(low|high)"):
        Interval(sigma_low=low, sigma_high=high)


@pytest.mark.parametrize("name", ["cosine", "warmup_cosine"])
def test_cosines_fall_after_the_warmup(name: str) -> None:
    schedule = {"cosine": Cosine(), "warmup_cosine": WarmupCosine()}[name]
    assert all(above > below for above, below in pairwise(over(schedule, 40)[4:]))
