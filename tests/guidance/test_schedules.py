"""Weight schedules against their formulas and published values."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import arange, float64
from torch.distributions import Beta as BetaDistribution

from guidance.conditions import CADS
from guidance.presets import PRESETS
from guidance.samplers.grid import karras
from guidance.schedules import Beta, Constant, Cosine, DynamicCFG, Interval, WarmupCosine
from guidance.spec import GuidanceSpec
from tests.guidance.curves import everywhere, over
from tests.guidance.strategies import LAW, drawn

EDM = karras(32, 80.0, 0.002)
"""The 32 noise levels of Kynkäänniemi et al. 2024 (rho = 7)."""

counts = st.integers(2, 250)


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
@given(count=counts, schedule=everywhere(Cosine))
def test_warmup_of_no_steps_is_cosine(count: int, schedule: Cosine) -> None:
    ends = {"max_weight": schedule.max_weight, "min_weight": schedule.min_weight}
    assert over(WarmupCosine(**ends, warmup_fraction=0), count) == over(schedule, count)


@LAW
@given(count=counts, weight=st.floats(-1000, 1000))
def test_cosine_between_equal_ends_is_constant(count: int, weight: float) -> None:
    assert over(Cosine(max_weight=weight, min_weight=weight), count) == over(Constant(weight=weight), count)


@LAW
@given(count=st.integers(1, 250), schedule=everywhere(WarmupCosine))
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


def test_interval_preset_is_the_published_steps() -> None:
    spec = GuidanceSpec.model_validate({"preset": "interval_edm2_xxl"})
    weights = [spec.schedule.at(index, 32, sigma) for index, sigma in enumerate(EDM)]
    assert weights == [2.0 if 17 <= index <= 22 else None for index in range(32)]
    assert spec.combiner.type == "cfg" and PRESETS["interval_edm2_xxl"].paper == Interval.paper


def test_interval_is_constant_with_the_paper_s_edges() -> None:
    limited = Constant.model_validate(Interval().model_dump(exclude={"type"}))
    for sigma in (0.28, 0.29, 1.0, 5.42, 5.43, math.inf):
        assert limited.at(0, 10, sigma) == Interval().at(0, 10, sigma)


@pytest.mark.parametrize("name", ["cosine", "warmup_cosine"])
def test_cosines_fall_after_the_warmup(name: str) -> None:
    schedule = {"cosine": Cosine(), "warmup_cosine": WarmupCosine()}[name]
    assert all(above > below for above, below in pairwise(over(schedule, 40)[4:]))


# Sadat et al. 2023, arXiv:2310.17347: dynamic CFG


def test_dynamic_cfg_alpha_is_a_half_at_the_midpoint() -> None:
    schedule = DynamicCFG(weight=4.0, domain="sigma", low=1.0, high=3.0)
    assert [schedule.at(0, 10, sigma) for sigma in (3.0, 2.5, 2.0, 1.5, 1.0)] == [0.0, 1.0, 2.0, 3.0, 4.0]
    timed = DynamicCFG(weight=4.0, domain="time", low=0.25, high=0.75)
    assert over(timed, 8) == [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 4.0]


@LAW
@given(low=st.floats(0, 50), width=st.floats(0.1, 50))
def test_dynamic_cfg_is_continuous_at_both_ends(low: float, width: float) -> None:
    schedule = DynamicCFG(weight=1.0, domain="sigma", low=low, high=low + width)
    for end, alpha in ((low, 1.0), (low + width, 0.0)):
        for near in (end - 1e-9 * end, end, end + 1e-9 * max(end, 1)):
            assert schedule.at(0, 10, max(near, 1e-300)) == pytest.approx(alpha, abs=1e-6)


def test_dynamic_cfg_without_a_ramp_is_a_step() -> None:
    """The limit low = high; the step itself has the full weight, as CADS' gamma has."""
    schedule = DynamicCFG(weight=3.0, domain="sigma", low=2.0, high=2.0)
    assert [schedule.at(0, 10, sigma) for sigma in (2.001, 2.0, 1.999, math.inf)] == [0.0, 3.0, 3.0, 0.0]


def test_dynamic_cfg_is_unconditional_at_high_noise() -> None:
    """Weight 0, not guidance off: an interval would leave the conditional prediction there."""
    schedule = DynamicCFG(domain="sigma", low=1.0, high=5.0)
    assert (schedule.at(0, 30, math.inf), Interval().at(0, 30, math.inf)) == (0.0, None)


@LAW
@given(taus=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted), count=counts)
def test_dynamic_cfg_in_time_is_the_ramp_of_cads(taus: list[float], count: int) -> None:
    assume(taus[0] < taus[1])
    schedule, cads = DynamicCFG(low=taus[0], high=taus[1]), CADS(tau1=taus[0], tau2=taus[1])
    assert [schedule.alpha(i, count, 1.0) for i in range(count)] == [cads.gamma(i, count) for i in range(count)]


@LAW
@given(schedule=drawn(DynamicCFG, weight=1.0), sigma=st.floats(0, 200), count=counts)
def test_dynamic_cfg_alpha_grows_within_0_and_1(schedule: DynamicCFG, sigma: float, count: int) -> None:
    alphas = [schedule.alpha(index, count, sigma) for index in range(count)]
    assert sorted(alphas) == alphas and 0 <= alphas[0] and alphas[-1] <= 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"domain": "sigma"}, "needs low and high"),
        ({"domain": "sigma", "low": 0.5}, "needs low and high"),
        ({"low": 0.7, "high": 0.6}, "low = 0.7"),
        ({"high": 1.5}, "high = 1.5"),
    ],
)
def test_dynamic_cfg_refuses_a_ramp_that_is_none(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        DynamicCFG.model_validate(fields)


# Malarz et al. 2025, arXiv:2502.10574: the schedule of beta-CFG


@LAW
@given(a=st.floats(1, 100), b=st.floats(1, 100), count=st.integers(2, 100))
def test_beta_is_torch_s_density(a: float, b: float, count: int) -> None:
    """Largest difference over a, b from 1 to 100: 2e-13 of the value, from the logarithms of gamma."""
    at = arange(count, dtype=float64) / (count - 1)
    density = BetaDistribution(at.new_tensor(a), at.new_tensor(b)).log_prob(at).exp()  # type: ignore[no-untyped-call]
    assert over(Beta(weight=3.0, a=a, b=b), count) == pytest.approx((3 * density).tolist(), rel=1e-11, abs=1e-200)


@LAW
@given(a=st.floats(1.01, 100), b=st.floats(1.01, 100), count=counts)
def test_beta_starts_and_ends_unconditional(a: float, b: float, count: int) -> None:
    weights = over(Beta(a=a, b=b), count)
    assert weights[0] == weights[-1] == 0.0


def test_beta_is_not_scaled_to_its_peak() -> None:
    """a = b = 2: 6 r (1 - r), whose peak is 1.5 and whose mean is 1."""
    weights = over(Beta(weight=2.0), 1001)
    assert max(weights) == pytest.approx(3.0, rel=1e-12)
    assert sum(weights) / 1000 == pytest.approx(2.0, rel=1e-5)


@LAW
@given(weight=st.floats(-1000, 1000), count=counts)
def test_beta_1_1_is_cfg(weight: float, count: int) -> None:
    assert over(Beta(weight=weight, a=1, b=1), count) == over(Constant(weight=weight), count)


@pytest.mark.parametrize("name", ["a", "b"])
def test_beta_refuses_what_is_infinite_at_an_end(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        Beta.model_validate({name: 0.99})
