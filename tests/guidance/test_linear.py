"""Steps as sums, against the steps of the scheduler that they were read off."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis.strategies import integers, sampled_from

from guidance.noise import Level, NoiseTable
from guidance.prediction import Prediction
from guidance.registry import members
from guidance.samplers import DDIM, UniPC
from guidance.samplers.base import Sampler
from guidance.samplers.linear import LinearSolver, linear_solver
from guidance.samplers.solver import Solver

TABLE = NoiseTable(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
CONFIG: dict[str, Any] = {"clip_sample": False, **TABLE.model_dump(exclude_none=True)}
SHAPE = (1, 3, 4, 4)
ALL: list[type[Sampler]] = [method for method in members("sampler") if issubclass(method, Sampler) and method.solver]
EXACT = 2e-6
"""Of the sample's size: schedulers compute with float32 tables."""


def walked(solver: LinearSolver | Solver, seed: int, renoised: bool = False) -> list[torch.Tensor]:
    """Samples along the way, the network's answers drawn from the seed."""
    draws, stream = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)

    def answer(x: torch.Tensor) -> Prediction:
        value = torch.randn(SHAPE, generator=draws, dtype=torch.float64)
        return Prediction(x, Level.variance_preserving(0.0, 1.0), value, "eps")

    sample = solver.start(torch.randn(SHAPE, generator=draws, dtype=torch.float64))
    samples = []
    grid = solver if isinstance(solver, Solver) else solver._grid.solver
    for call in range(len(grid.scheduler.timesteps)):
        x = solver.network_input(sample, call)
        sample = solver.advance(sample, answer(x), call, stream, answer(x) if renoised else None)
        samples += [x, sample]
    return samples


def worst(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> float:
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(ours, theirs, strict=True))


@settings(max_examples=40, deadline=None)
@given(method=sampled_from(ALL), steps=integers(1, 40), seed=integers(0, 99))
def test_sums_are_the_steps_of_the_scheduler(method: type[Sampler], steps: int, seed: int) -> None:
    sampler = method(steps=steps)
    solver = linear_solver(sampler, TABLE, CONFIG)
    assert isinstance(solver, LinearSolver)
    assert worst(walked(solver, seed), walked(Solver(sampler, TABLE, CONFIG), seed)) < steps * EXACT


@pytest.mark.parametrize("method", [method for method in ALL if method.renoises], ids=lambda method: method.type_name())
def test_another_predictions_noise_is_put_back_as_the_scheduler_does(method: type[Sampler]) -> None:
    sampler = method(steps=9)
    theirs = walked(Solver(sampler, TABLE, CONFIG), 5, renoised=True)
    assert worst(walked(linear_solver(sampler, TABLE, CONFIG), 5, renoised=True), theirs) < 9 * EXACT


def test_a_stochastic_step_draws_what_the_scheduler_draws() -> None:
    sampler = DDIM(steps=6, eta=0.7)
    assert worst(walked(linear_solver(sampler, TABLE, CONFIG), 1), walked(Solver(sampler, TABLE, CONFIG), 1)) < 1e-5
    assert worst(walked(linear_solver(sampler, TABLE, CONFIG), 1), walked(Solver(sampler, TABLE, CONFIG), 2)) > 0.1


def test_a_scheduler_that_clips_takes_its_own_steps() -> None:
    assert isinstance(linear_solver(DDIM(steps=4), TABLE, CONFIG | {"clip_sample": True}), Solver)


def test_trajectories_share_a_grid_and_not_what_they_remember() -> None:
    first, second = (linear_solver(UniPC(steps=5), TABLE, CONFIG) for _ in range(2))
    assert isinstance(first, LinearSolver) and isinstance(second, LinearSolver)
    assert first._grid is second._grid
    walked(first, 0)
    assert second.state() == {"memory": []}


def test_a_copy_stays_where_it_was_taken() -> None:
    """For steps that are repeated."""
    solver = linear_solver(UniPC(steps=4), TABLE, CONFIG)
    guided = Prediction(torch.ones(SHAPE), Level.variance_preserving(0.0, 1.0), torch.ones(SHAPE), "eps")
    stream = torch.Generator()
    once = solver.advance(torch.ones(SHAPE), guided, 0, stream)
    kept = deepcopy(solver)
    again = solver.advance(once, guided, 1, stream)
    solver.advance(again, guided, 2, stream)
    assert torch.equal(kept.advance(once, guided, 1, stream), again)
