"""Anderson acceleration on problems whose answer is known."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from guidance.combiners.anderson import Anderson
from tests.guidance.steps import noise
from tests.guidance.strategies import LAW

SIZE = 5


def matrix(seed: int) -> Tensor:
    """Near the identity, so that the plain iteration converges too."""
    return torch.eye(SIZE, dtype=torch.float64) + 0.15 * noise(seed, (SIZE, SIZE))


def iterated(solver: Anderson, a: Tensor, b: Tensor, count: int, step: float = 1.0) -> Tensor:
    """From zero, `count` times, for r(x) = a x - b; a row of b is a problem."""
    x = torch.zeros_like(b)
    for _ in range(count):
        x = solver.after(x, x @ a.T - b, step)
    return x


@LAW
@given(seed=st.integers(0, 99))
def test_a_linear_problem_is_solved_in_as_many_iterations_as_it_has_unknowns_and_two(seed: int) -> None:
    """With full memory it is GMRES: Walker & Ni 2011, doi:10.1137/10078356X, theorem 2.2."""
    a, b = matrix(seed), noise(seed + 100, (1, SIZE))
    found = iterated(Anderson(SIZE), a, b, SIZE + 2)
    torch.testing.assert_close(found, torch.linalg.solve(a, b[0])[None], rtol=1e-6, atol=1e-8)


@LAW
@given(seed=st.integers(0, 99), step=st.floats(0.1, 1))
def test_without_memory_it_is_the_plain_iteration(seed: int, step: float) -> None:
    a, b = matrix(seed), noise(seed + 100, (1, SIZE))
    x = torch.zeros_like(b)
    for _ in range(4):
        x = x - step * (x @ a.T - b)
    assert torch.equal(iterated(Anderson(0), a, b, 4, step), x)


@LAW
@given(seed=st.integers(0, 99), memory=st.integers(1, 3), step=st.floats(0.1, 1))
def test_the_combination_is_that_of_least_squares(seed: int, memory: int, step: float) -> None:
    solver, xs, rs = Anderson(memory), noise(seed, (memory + 2, 1, 8)), noise(seed + 100, (memory + 2, 1, 8))
    for x, r in zip(xs, rs, strict=True):
        found = solver.after(x, r, step)
    dx, dr = (values[1:, 0].diff(dim=0).T for values in (xs, rs))  # the oldest is forgotten
    share = torch.linalg.lstsq(dr, rs[-1].T).solution
    expected = xs[-1, 0] - (dx @ share)[:, 0] - step * (rs[-1, 0] - (dr @ share)[:, 0])
    torch.testing.assert_close(found[0], expected, rtol=1e-9, atol=1e-9)


def test_each_row_is_a_problem_of_its_own() -> None:
    a, b = matrix(3), noise(4, (3, SIZE))
    together = iterated(Anderson(2), a, b, 4)
    alone = torch.cat([iterated(Anderson(2), a, row[None], 4) for row in b])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_standing_still_and_repeating_itself_stay_finite(dtype: torch.dtype) -> None:
    """A difference that is zero, or parallel to another, has no direction of its own."""
    solver, x, r = Anderson(4), noise(1, (1, 8), dtype), noise(2, (1, 8), dtype)
    for scale in (1, 1, 2, 3, 4, 0):
        found = solver.after(scale * x, scale * r)
        assert found.isfinite().all()
    assert not found.any()
