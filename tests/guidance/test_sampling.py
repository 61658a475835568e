"""Whole guided trajectories against exact solutions of the guided probability-flow ODE.

Orders are measured: minus the slope of log error over log steps. The network is float64, but diffusers keeps its noise
levels in float32, so errors below about 1e-6 say nothing; the step counts stay far above that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from torch import Tensor

from guidance.samplers import DDIM, DDPM, LMS, DPMpp2M, Euler, EulerAncestral, Heun, Sampler, UniPC
from guidance.samplers.grid import karras
from guidance.spec import GuidanceSpec
from tests.oracles import TABLE, Pair, constant, slope

EQUAL_STDS = Pair()
EQUAL_MEANS = Pair(cond_mean=0.3, uncond_mean=0.3, cond_std=0.4, uncond_std=0.8)
every_pair = pytest.mark.parametrize("pair", [EQUAL_STDS, EQUAL_MEANS], ids=["equal_stds", "equal_means"])
WEIGHT = 2.5


def ends(sampler: Sampler) -> tuple[float, float]:
    levels = sampler.levels(TABLE)
    return levels[0].ratio, levels[-1].ratio


def error(pair: Pair, sampler: Sampler, weight: float = WEIGHT) -> float:
    """Of a solver whose last step is the denoised estimate: against the exact flow to the last level, denoised."""
    high, low = ends(sampler)
    exact = pair.denoised(pair.flow(pair.start(sampler), high, low, weight), low, weight)
    return largest(pair.sample(constant(weight), sampler) - exact)


def largest(tensor: Tensor) -> float:
    return float(tensor.abs().max())


@every_pair
@pytest.mark.parametrize(
    ("sampler", "order"),
    [(Euler, 1), (Heun, 2), (DPMpp2M, 2), (UniPC, 3)],  # UniPC: the corrector adds one to its second order
    ids=["euler", "heun", "dpmpp_2m", "unipc"],
)
def test_solvers_have_their_order_at_a_weight_that_is_not_1(pair: Pair, sampler: type[Sampler], order: int) -> None:
    counts = (20, 40, 80)
    errors = [error(pair, sampler(steps=count, spacing="karras")) for count in counts]
    assert slope(counts, errors) == pytest.approx(order, abs=0.3)


@pytest.mark.parametrize("weight", [-1.0, 4.0])
def test_heun_has_its_order_at_any_weight(weight: float) -> None:
    counts = (20, 40, 80)
    errors = [error(EQUAL_MEANS, Heun(steps=count, spacing="karras"), weight) for count in counts]
    assert slope(counts, errors) == pytest.approx(2, abs=0.3)


def test_lms_has_nearly_its_fourth_order() -> None:
    """It integrates its last step, to zero, like any other; its first steps are of lower order."""
    counts, errors = (12, 24, 48), []
    for count in counts:
        sampler = LMS(steps=count, spacing="karras")
        exact = EQUAL_STDS.flow(EQUAL_STDS.start(sampler), ends(sampler)[0], 0, WEIGHT)
        errors.append(largest(EQUAL_STDS.sample(constant(WEIGHT), sampler) - exact))
    assert 3.3 < slope(counts, errors) < 4.2


def test_ddim_has_its_first_order() -> None:
    """It ends at the first level of the table, not at zero; its grid is even where the steps divide the table."""
    counts, errors, low = (25, 50, 100), [], float(TABLE.ratios[0])
    for count in counts:
        sampler = DDIM(steps=count, spacing="leading")
        exact = EQUAL_STDS.flow(EQUAL_STDS.start(sampler), ends(sampler)[0], low, WEIGHT) / math.hypot(1, low)
        errors.append(largest(EQUAL_STDS.sample(constant(WEIGHT), sampler) - exact))
    assert slope(counts, errors) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("weight", [0.0, 2.5])
def test_cfg_lands_on_the_shifted_gaussian(weight: float) -> None:
    """Equal stds: mean mu_u + w (mu_c - mu_u), the std of both. The start is noise of finite sigma, hence `flow`."""
    sampler = Heun(steps=100, spacing="karras")
    exact = EQUAL_STDS.flow(EQUAL_STDS.start(sampler), ends(sampler)[0], 0, weight)
    assert largest(EQUAL_STDS.sample(constant(weight), sampler) - exact) < 3e-3


@pytest.mark.parametrize(
    "sampler", [DDPM(steps=100), EulerAncestral(steps=100), DDIM(steps=100, eta=1)], ids=lambda sampler: sampler.type
)
def test_stochastic_solvers_land_on_the_shifted_gaussian(sampler: Sampler) -> None:
    """4096 pixels: the mean is known to 0.008 (1 s.e.); at 100 steps the std is some 0.03 too small."""
    pair = Pair(pixels=64)
    sample = pair.sample(constant(WEIGHT), sampler)
    assert float(sample.mean()) == pytest.approx(pair.guided_mean(WEIGHT), abs=0.03)
    assert float(sample.std()) == pytest.approx(pair.cond_std, abs=0.05)


# Kynkäänniemi et al. 2024, arXiv:2404.07724: weights are read where a step began


def edges() -> tuple[float, float]:
    """Two levels that lie on every Karras grid of 8 k + 1 steps."""
    grid = karras(9, float(TABLE.ratios[-1]), float(TABLE.ratios[0]))
    return float(grid[3]), float(grid[6])


def limited(pair: Pair, sampler: Sampler) -> tuple[Tensor, Tensor]:
    """Sampled, and exact: guidance between the edges, the conditional model before and after."""
    high, low = edges()
    schedule = {"type": "interval", "weight": WEIGHT, "sigma_low": low * (1 + 1e-6), "sigma_high": high * (1 + 1e-6)}
    first, last = ends(sampler)
    x = pair.flow(pair.start(sampler), first, high, 1)
    x = pair.flow(pair.flow(x, high, low, WEIGHT), low, last, 1)
    sampled = pair.sample(GuidanceSpec.model_validate({"schedule": schedule}), sampler)
    return sampled, pair.denoised(x, last, 1)


@every_pair
def test_heun_with_an_interval_keeps_its_order(pair: Pair) -> None:
    """Second order, edges on the grid; read at each evaluation instead, it would fall to 1.2."""
    counts = (17, 33, 65)
    pairs = [limited(pair, Heun(steps=count, spacing="karras")) for count in counts]
    assert slope(counts, [largest(sampled - exact) for sampled, exact in pairs]) == pytest.approx(2, abs=0.25)


def test_both_evaluations_of_a_step_have_the_weight_of_its_start() -> None:
    schedule = {"type": "interval", "weight": WEIGHT, "sigma_low": 0.3, "sigma_high": 3.0}
    calls = Pair().trajectory(GuidanceSpec.model_validate({"schedule": schedule}), Heun(steps=20)).plan.calls
    starts = {call.step: call for call in calls if call.within == 0}
    assert {call.weight for call in calls} == {WEIGHT, None}
    for call in calls:
        assert (call.weight, call.start) == (starts[call.step].weight, starts[call.step].level)
        assert (call.weight is not None) == (0.3 < call.start.ratio <= 3.0)


@pytest.mark.parametrize("steps", [8, 30])
def test_interval_evaluations_are_the_steps_and_those_inside(steps: int) -> None:
    schedule = {"type": "interval", "weight": WEIGHT, "sigma_low": 0.3, "sigma_high": 3.0}
    trajectory = Pair().trajectory(GuidanceSpec.model_validate({"schedule": schedule}), Euler(steps=steps))
    inside = sum(0.3 < level.ratio <= 3.0 for level in Euler(steps=steps).levels(TABLE))
    assert 0 < inside < steps and trajectory.plan.nfe == steps + inside


def test_the_conditional_model_costs_half() -> None:
    costs: Sequence[int] = [Pair().trajectory(constant(w), Heun(steps=32)).plan.nfe for w in (1.0, WEIGHT)]
    assert costs == [63, 126]
