"""Steps taken again: the plan of it, the noise put back, and what does not change."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guidance.noise import Level
from guidance.plan import plan
from guidance.protocol import drive
from guidance.registry import members
from guidance.samplers import DDIM, DDPM, LMS, DPMpp2M, Euler, Heun, Sampler
from guidance.spec import GuidanceSpec
from guidance.time_travel import noised
from tests.guidance.strategies import LAW
from tests.oracles import TABLE, Pair

WHOLE = {"type": "time_travel", "repeats": 3, "low": 0, "high": 1}
MOVABLE = [method for method in members("sampler") if issubclass(method, Sampler) and method.movable]


def spec(**travel: object) -> GuidanceSpec:
    return GuidanceSpec.model_validate({"travel": WHOLE | travel})


@LAW
@given(low=st.floats(0.05, 5), rise=st.floats(1.01, 20), variance=st.floats(0, 2), seed=st.integers(0, 2**31))
def test_a_gaussian_taken_back_has_the_marginal_of_its_level(
    low: float, rise: float, variance: float, seed: int
) -> None:
    """Data N(0, v): variance alpha^2 v + sigma^2 before and after. Here for v = `variance`, by its two coefficients."""
    here, there = Level.variance_preserving(0, low), Level.variance_preserving(0, low * rise)
    unit, nothing = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    of_x, of_noise = float(noised(unit, here, there, nothing)), float(noised(nothing, here, there, unit))
    before = here.alpha**2 * variance + here.sigma**2
    after = of_x**2 * before + of_noise**2
    assert after == pytest.approx(there.alpha**2 * variance + there.sigma**2, rel=1e-9)


def test_noise_of_the_clean_picture_is_the_forward_process() -> None:
    x, n = torch.randn(2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    there = Level.variance_preserving(0, 1.3)
    torch.testing.assert_close(
        noised(x, Level(0, 1, 0), there, n), there.alpha * x + there.sigma * n, rtol=1e-12, atol=1e-12
    )


def test_the_plan_repeats_the_steps_of_the_window() -> None:
    planned = plan(spec(low=0.3, high=0.8), DDIM(steps=10), Pair().model().info)
    times = {step: sum(call.step == step for call in planned.calls) for step in range(10)}
    for call in planned.calls:
        assert times[call.step] == (3 if 300 <= call.start.t <= 800 else 1)
    assert set(times.values()) == {1, 3}
    assert planned.plain_nfe == 20 and planned.nfe == 2 * len(planned.calls)
    assert [call.repeat for call in planned.calls if call.repeated][:3] == [0, 1, 2]


def test_both_evaluations_of_a_step_are_repeated() -> None:
    planned = plan(spec(), Heun(steps=3), Pair().model().info)
    assert [(call.step, call.within, call.repeat) for call in planned.calls[:4]] == [
        (0, 0, 0),
        (0, 1, 0),
        (0, 0, 1),
        (0, 1, 1),
    ]


@pytest.mark.parametrize("sampler", [DDIM(steps=6), DDPM(steps=6), Euler(steps=6), DPMpp2M(steps=6), LMS(steps=6)])
def test_repeats_1_puts_no_noise_back(sampler: Sampler) -> None:
    pair = Pair()
    assert torch.equal(pair.sample(spec(repeats=1), sampler), pair.sample(GuidanceSpec(), sampler))


@pytest.mark.parametrize("method", MOVABLE, ids=lambda method: method.type_name())
def test_the_network_sees_the_levels_of_the_plan_on_every_repetition(method: type[Sampler]) -> None:
    """Unit-variance data stay at unit variance, in the scale of the network, however often noise is put back."""
    unit = Pair(0, 0, 1, 1, pixels=64)
    trajectory = unit.trajectory(spec(repeats=2), method(steps=40))
    variances: list[float] = []

    def evaluate(branches: object) -> list[torch.Tensor]:
        variances.extend(float(branch.x.var()) for branch in branches)  # type: ignore[attr-defined]
        return trajectory.model.evaluate(branches)  # type: ignore[arg-type]

    drive(trajectory.run(), evaluate)
    assert len(variances) == trajectory.nfe_done == trajectory.plan.nfe
    assert all(abs(variance - 1) < 0.2 for variance in variances)
    assert trajectory.steps_done == 40


def test_a_history_begins_where_the_step_began() -> None:
    """A multistep solver that takes a step again has the past of the first time, not the first time itself.

    With noise put back that is none (the data are one point), the last repetition is the only one that counts.
    """
    point = Pair(0.4, 0.4, 0.0, 0.0)
    once = point.sample(GuidanceSpec(), DPMpp2M(steps=8))
    often = point.sample(spec(), DPMpp2M(steps=8))
    torch.testing.assert_close(often, once, rtol=1e-6, atol=1e-6)


def test_it_changes_the_picture_and_repeats_itself() -> None:
    pair = Pair()
    first, second = (pair.sample(spec(), DDIM(steps=6)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, pair.sample(GuidanceSpec(), DDIM(steps=6)))


def test_columns_say_which_repetition_it_was() -> None:
    trajectory = Pair().trajectory(spec(low=0.5), DDIM(steps=4))
    drive(trajectory.run(), trajectory.model.evaluate)
    columns = trajectory.diagnostics.columns()
    assert [columns["repeat"][k] for k in range(4)] == [0, 1, 2, 0]
    assert None in columns["repeat"] or set(columns["repeat"]) == {0, 1, 2}
    assert TABLE.num_train_timesteps == 1000
