"""What every sampler must do, whatever its solver; and that the plan of a trajectory is what is run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guidance.protocol import Branch, Run, drive
from guidance.registry import members
from guidance.samplers import Sampler
from guidance.samplers.solver import Solver
from guidance.spec import GuidanceSpec
from tests.guidance.strategies import FEW, LAW, runs, samplers
from tests.oracles import TABLE, Pair, a_trajectory

ALL: list[type[Sampler]] = [method for method in members("sampler") if issubclass(method, Sampler)]
every_sampler = pytest.mark.parametrize("method", ALL, ids=lambda method: method.type_name())
small = Pair(pixels=2)
ABLE = small.model().info.capabilities


@LAW
@given(sampler=samplers(st.integers(2, 250)))
def test_levels_fall_and_every_step_begins_once(sampler: Sampler) -> None:
    levels = sampler.levels(TABLE)
    places = [sampler.place(call) for call in range(len(levels))]
    begun = [level.ratio for level, (_, within) in zip(levels, places, strict=True) if within == 0]
    assert [step for step, within in places if within == 0] == list(range(sampler.steps))
    assert all(above > below for above, below in pairwise(begun))
    assert all(math.isfinite(level.t) and 0 <= level.t <= TABLE.num_train_timesteps for level in levels)


@LAW
@given(sampler=samplers(st.integers(2, 250)))
def test_levels_are_variance_preserving(sampler: Sampler) -> None:
    for level in sampler.levels(TABLE):
        assert math.isclose(level.alpha**2 + level.sigma**2, 1, rel_tol=1e-15)
        assert math.isclose(level.log_snr, -2 * math.log(level.ratio), rel_tol=1e-9, abs_tol=1e-12)


@FEW
@given(run=runs(st.integers(2, 6), ABLE), seed=st.integers(0, 2**32 - 1))
def test_the_plan_counts_what_a_drive_evaluates(run: tuple[GuidanceSpec, Sampler], seed: int) -> None:
    guidance, sampler = run
    trajectory = a_trajectory(small.model(), guidance, sampler, seed)
    asked: list[Branch] = []

    def evaluate(branches: Sequence[Branch]) -> list[torch.Tensor]:
        asked.extend(branches)
        return trajectory.model.evaluate(branches)

    drive(trajectory.run(), evaluate)
    assert len(asked) == trajectory.nfe_done == trajectory.nfe_total
    planned = trajectory.plan.nfe
    decided = any(stage.data_dependent for stage in (guidance.combiner, guidance.reuse) if stage)
    assert len(asked) <= planned if decided else len(asked) == planned
    assert trajectory.steps_done == sampler.steps


@FEW
@given(run=runs(st.integers(2, 6), ABLE), seeds=st.tuples(st.integers(0, 99), st.integers(0, 99)))
def test_interleaved_trajectories_equal_separate_ones(
    run: tuple[GuidanceSpec, Sampler], seeds: tuple[int, int]
) -> None:
    guidance, sampler = run
    model = small.model()
    apart = [drive(a_trajectory(model, guidance, sampler, seed).run(), model.evaluate) for seed in seeds]
    together = _in_turns([a_trajectory(model, guidance, sampler, seed).run() for seed in seeds], model.evaluate)
    assert all(torch.equal(a, b) for a, b in zip(apart, together, strict=True))


@every_sampler
def test_closing_a_run_at_any_call_leaves_it_done_and_unfinished(method: type[Sampler]) -> None:
    sampler = method(steps=3)
    for stop in range(len(sampler.levels(TABLE))):
        trajectory = small.trajectory(GuidanceSpec(), sampler)
        run, model = trajectory.run(), trajectory.model
        branches = next(run)
        for _ in range(stop):
            branches = run.send(model.evaluate(branches))
        run.close()
        assert run.gi_frame is None and trajectory.calls_done == stop  # type: ignore[attr-defined]


@every_sampler
def test_what_is_thrown_into_a_run_comes_out(method: type[Sampler]) -> None:
    run = small.trajectory(GuidanceSpec(), method(steps=3)).run()
    next(run)
    with pytest.raises(MemoryError, match="of this request alone"):
        run.throw(MemoryError("of this request alone"))


@every_sampler
def test_the_network_sees_the_levels_of_the_plan(method: type[Sampler]) -> None:
    """At each call the noisy sample is x = alpha x0 + sigma eps: a unit-variance data set gives a unit-variance x."""
    sampler, unit = method(steps=20), Pair(0, 0, 1, 1, pixels=64)
    trajectory = unit.trajectory(GuidanceSpec(), sampler)
    variances: list[float] = []

    def evaluate(branches: Sequence[Branch]) -> list[torch.Tensor]:
        variances.extend(float(branch.x.var()) for branch in branches)
        return trajectory.model.evaluate(branches)

    drive(trajectory.run(), evaluate)
    assert all(abs(variance - 1) < 0.2 for variance in variances)


@pytest.mark.parametrize("method", [m for m in ALL if m.solver], ids=lambda method: method.type_name())
def test_a_solver_is_at_the_levels_of_its_sampler(method: type[Sampler]) -> None:
    model = small.model()
    solver = Solver(method(steps=9), model.info.noise, model.scheduler_config)
    assert len(solver.scheduler.timesteps) == len(method(steps=9).levels(TABLE))


def _in_turns(runs: list[Run], evaluate: Callable[[Sequence[Branch]], list[torch.Tensor]]) -> list[torch.Tensor]:
    """One call of each run after the other, until all have ended."""
    asked = {place: next(run) for place, run in enumerate(runs)}
    samples: dict[int, torch.Tensor] = {}
    while asked:
        for place in list(asked):
            try:
                asked[place] = runs[place].send(evaluate(asked[place]))
            except StopIteration as done:
                samples[place] = done.value
                del asked[place]
    return [samples[place] for place in range(len(runs))]
