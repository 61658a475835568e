"""Steps of diffusers' schedulers as the sums that they are. Imports diffusers, so only workers import it.

A scheduler's step is linear in the sample, the network's answer, fresh noise and what it remembers of earlier steps;
what each counts for depends on the grid alone. diffusers finds these numbers anew at every step, in a hundred
operations on single numbers, which cost more than the sum. Here they are read off its own step, once for each grid, by
giving it unit vectors, and a step is the sum. See docs/adr/0029-steps-are-sums.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch

from guidance.noise import CLEAN, NoiseTable
from guidance.prediction import Prediction, widest
from guidance.samplers.solver import Solver

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from guidance.samplers.base import Sampler

REMEMBERED = 256
"""Grids whose sums are kept: about 10 kB each."""
CLIPS = ("clip_sample", "thresholding")
"""Of a scheduler's configuration."""
SHAPE = (1, 16, 1, 1)
"""Of the unit vectors: an entry for each term, and one where only the noise is seen."""
ONES = widest(torch.ones(SHAPE))
NOISE, ANSWER, FIRST = 1, 2, 3
"""Their entries; that of the sample is 0, those of what is remembered come last."""
ROUNDING = 1e-6
"""Schedulers compute in float32: factors that are smaller in comparison are its rounding."""
Place = tuple[str, int | None]
"""An attribute of a scheduler, and which entry of it where that is a list."""


@dataclass(frozen=True)
class Row:
    """What each of the step's terms counts for in one tensor: (term, factor), zeros left out."""

    terms: tuple[tuple[int, float], ...]

    def sum(self, tensors: list[Tensor]) -> Tensor:
        (first, factor), *rest = self.terms or ((0, 0.0),)
        if not rest and factor == 1:
            return tensors[first]
        total = tensors[first] * factor
        for place, factor in rest:
            total = torch.add(total, tensors[place], alpha=factor)
        return total


@dataclass(frozen=True)
class LinearStep:
    """One step. Its terms are the sample, the network's answer, what is remembered, in order, and the noise at last."""

    scale: float
    """What the sample is multiplied by for the network."""
    kept: float | None
    """Share of the predicted noise that it keeps; None where it is not of first order."""
    sample: Row
    memory: tuple[Row, ...]
    draws: bool
    """Whether it draws noise."""


@dataclass(frozen=True)
class Grid:
    """What trajectories on one grid share. The solver, which has taken its steps, is asked for numbers alone."""

    solver: Solver
    steps: tuple[LinearStep, ...]


class LinearSolver:
    """Takes the steps of one trajectory: the sums are its grid's, the memory its own."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._memory: list[Tensor] = []

    def start(self, noise: Tensor) -> Tensor:
        return self._grid.solver.start(noise)

    def network_input(self, sample: Tensor, call: int) -> Tensor:
        scale = self._grid.steps[call].scale
        return sample if scale == 1 else sample * scale

    def kept(self, call: int) -> float | None:
        return self._grid.steps[call].kept

    def advance(
        self, sample: Tensor, guided: Prediction, call: int, generator: Generator, uncond: Prediction | None = None
    ) -> Tensor:
        stepped, step = guided if uncond is None else uncond, self._grid.steps[call]
        tensors = [sample, stepped.value, *self._memory]
        if step.draws:
            noise = torch.randn(sample.shape, generator=generator, dtype=sample.dtype)  # on the host, as diffusers
            tensors.append(noise.to(sample.device))
        after, self._memory = step.sample.sum(tensors), [row.sum(tensors) for row in step.memory]
        if uncond is None:
            return after
        return after + self._grid.solver.shift(call) * (guided.denoised - uncond.denoised)

    def __deepcopy__(self, memo: dict[int, Any]) -> LinearSolver:
        """Tensors are replaced, never changed."""
        return copy(self)

    def state(self) -> dict[str, Any]:
        return {"memory": self._memory}

    def restore(self, state: dict[str, Any]) -> None:
        self._memory = state.get("memory", self._memory)


def linear_solver(sampler: Sampler, table: NoiseTable, scheduler_config: dict[str, Any]) -> LinearSolver | Solver:
    """The solver of one trajectory; diffusers' own step where it clips, which no sum does."""
    if any(scheduler_config.get(name) for name in CLIPS):
        return Solver(sampler, table, scheduler_config)
    config = json.dumps(scheduler_config, sort_keys=True, default=list)
    return LinearSolver(_grid(type(sampler), sampler.model_dump_json(), table.model_dump_json(), config))


@lru_cache(REMEMBERED)
def _grid(kind: type[Sampler], sampler: str, table: str, scheduler_config: str) -> Grid:
    """Of a sampler, noise table and configuration as JSON, which are compared sooner than what they say."""
    solver = Solver(
        kind.model_validate_json(sampler), NoiseTable.model_validate_json(table), json.loads(scheduler_config)
    )
    return Grid(solver, tuple(_steps(solver)))


def _steps(solver: Solver) -> Iterator[LinearStep]:
    """Run the scheduler on unit vectors, new ones at each step, and read off what became of them."""
    memory: list[Place] = []
    for call in range(len(solver.scheduler.timesteps)):
        for entry, place in enumerate(memory, FIRST):
            _put(solver.scheduler, place, _unit(entry))
        generator, fresh = (torch.Generator().manual_seed(call) for _ in range(2))
        noise = torch.randn(SHAPE, generator=fresh, dtype=ONES.dtype)
        answer = Prediction(_unit(0), CLEAN, _unit(ANSWER), "eps")  # of which the scheduler takes the value alone
        scale = float(solver.network_input(_unit(0), call)[0, 0])
        after = solver.advance(_unit(0), answer, call, generator)
        draws = bool((generator.get_state() == fresh.get_state()).all())
        places = list(_places(solver))
        terms = [0, ANSWER, *range(FIRST, FIRST + len(memory)), *([NOISE] if draws else [])]
        rows = [_row(tensor, terms, noise) for tensor in (after, *(_get(solver.scheduler, place) for place in places))]
        memory = places
        yield LinearStep(scale, solver.kept(call), rows[0], tuple(rows[1:]), draws)


def _row(found: Tensor, terms: list[int], noise: Tensor) -> Row:
    """What each term counts for, from what became of the unit vectors; the noise alone is at its own entry."""
    found, noise = found.to(noise).flatten(), noise.flatten()
    of_noise = found[NOISE] / noise[NOISE]
    factors = (found - of_noise * noise).where(torch.arange(len(found)) != NOISE, of_noise)
    least = ROUNDING * float(factors.abs().max())
    return Row(tuple((place, float(factors[term])) for place, term in enumerate(terms) if abs(factors[term]) > least))


def _unit(entry: int) -> Tensor:
    return ONES * (torch.arange(SHAPE[1]) == entry).view(SHAPE)


def _places(solver: Solver) -> Iterator[Place]:
    """Where the scheduler keeps tensors like the sample."""
    for name, value in solver.state().items():
        if isinstance(value, list):
            yield from ((name, index) for index, one in enumerate(value) if _like_sample(one))
        elif _like_sample(value):
            yield name, None


def _like_sample(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.shape == SHAPE


def _get(scheduler: Any, place: Place) -> Tensor:
    name, index = place
    value: Tensor = getattr(scheduler, name) if index is None else getattr(scheduler, name)[index]
    return value


def _put(scheduler: Any, place: Place, value: Tensor) -> None:
    name, index = place
    if index is None:
        setattr(scheduler, name, value)
    else:
        getattr(scheduler, name)[index] = value
