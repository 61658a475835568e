"""Condition dropout (Ho & Salimans 2022, algorithm 1)."""

import pytest
import torch
from torch import Generator

from training.dropout import drop_condition

COND = torch.arange(12).view(4, 3)
NULL = torch.tensor([-1, -2, -3])


def generator() -> Generator:
    return Generator().manual_seed(0)


def test_probability_zero_changes_nothing() -> None:
    cond, dropped = drop_condition(COND, NULL, 0.0, generator())
    assert torch.equal(cond, COND)
    assert not dropped.any()


def test_probability_one_drops_every_row() -> None:
    cond, dropped = drop_condition(COND, NULL, 1.0, generator())
    assert torch.equal(cond, NULL.expand(4, 3))
    assert dropped.all()


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5])
def test_the_mean_of_the_mask_is_p_within_four_sigma(p: float) -> None:
    _, dropped = drop_condition(torch.zeros(20_000, 1), torch.zeros(1), p, generator())
    assert abs(float(dropped.float().mean()) - p) < 4 * (p * (1 - p) / 20_000) ** 0.5


def test_rows_are_dropped_one_by_one_and_the_rest_is_kept() -> None:
    rows = torch.arange(2000.0).view(-1, 1).expand(-1, 5)
    cond, dropped = drop_condition(rows, torch.full((5,), -1.0), 0.3, generator())
    assert 0 < int(dropped.sum()) < 2000
    assert torch.equal(cond[~dropped], rows[~dropped])
    assert bool((cond[dropped] == -1).all())


def test_the_same_seed_drops_the_same_rows() -> None:
    masks = [drop_condition(torch.zeros(100, 1), torch.ones(1), 0.5, generator())[1] for _ in range(2)]
    assert torch.equal(*masks)


def test_the_conditions_given_are_left_alone() -> None:
    before = COND.clone()
    drop_condition(COND, NULL, 1.0, generator())
    assert torch.equal(COND, before)


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_probabilities_are_probabilities(p: float) -> None:
    with pytest.raises(ValueError, match=str(p)):
        drop_condition(COND, NULL, p, generator())
