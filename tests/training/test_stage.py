"""A stage: its schedule, its average, and a resumed run that computes the same bits as an uninterrupted one."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Generator, Tensor, nn

from training.muon import Muon
from training.stage import Loss, Recipe, Stage, learning_rate, save_atomically, shares

RECIPE = Recipe(steps=12, rate=0.05, warmup=3, decay=0.9)


def new_stage(folder: Path, muon: bool = False) -> Stage:
    torch.manual_seed(0)
    return Stage("line", nn.Linear(3, 1), replace(RECIPE, muon=muon), seed=1, folder=folder)


def advance(stage: Stage, steps: int) -> None:
    for step in range(steps):
        stage.advance(drawing(stage)(step, stage.generator))


def drawing(stage: Stage) -> Callable[[int, Generator], list[Loss]]:
    """Steps that fit y = sum(x), in two shares."""

    def draw(step: int, generator: Generator) -> list[Loss]:
        x = torch.randn(8, 3, generator=generator)
        return [partial(squared_error, stage.model, x[rows]) for rows in shares(8)]

    return draw


def squared_error(model: nn.Module, x: Tensor) -> Tensor:
    error: Tensor = model(x) - x.sum(1, keepdim=True)
    return error.square().mean()


@pytest.mark.parametrize("muon", [False, True])
def test_a_resumed_stage_equals_an_uninterrupted_one(tmp_path: Path, muon: bool) -> None:
    whole = new_stage(tmp_path / "whole", muon)
    whole.run(drawing(whole))
    first = new_stage(tmp_path / "parts", muon)
    advance(first, 5)
    first.checkpoint()
    second = new_stage(tmp_path / "parts", muon)
    assert second.step == 5
    second.run(drawing(second))
    assert second.losses == whole.losses
    for ours, theirs in zip(second.average.parameters(), whole.average.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_finished_stage_does_nothing_more(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    stage.run(drawing(stage))
    again = new_stage(tmp_path)
    again.run(lambda step, generator: pytest.fail("a step was taken"))
    assert again.step == RECIPE.steps


def test_a_stage_learns(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    advance(stage, 200)
    assert stage.losses[-1] < stage.losses[0] / 4


def test_previews_come_eight_times_at_most(tmp_path: Path) -> None:
    stage, seen = new_stage(tmp_path), []
    stage.run(drawing(stage), lambda: seen.append(stage.step))
    assert seen == [2, 4, 6, 8, 10, 12]


def test_shares_add_up_to_the_gradient_of_the_whole_batch(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    x = torch.randn(7, 3, generator=Generator().manual_seed(3))[:6]
    value, whole = stage.gradients(partial(squared_error, stage.model, x))
    parts = [stage.gradients(partial(squared_error, stage.model, x[rows])) for rows in shares(6)]
    assert value == pytest.approx(sum(part for part, _ in parts) / 2)
    for weight, (left, right) in zip(whole, zip(*(grads for _, grads in parts), strict=True), strict=True):
        torch.testing.assert_close((left + right) / 2, weight)


def test_a_step_goes_against_the_gradient_whatever_the_memory_order(tmp_path: Path) -> None:
    """The fused optimizer reads weight and gradient as flat arrays; orders that differ would scramble the step."""
    torch.manual_seed(0)
    model = cast(Any, nn.Conv2d(3, 4, 3)).to(memory_format=torch.channels_last)
    stage = Stage("convolution", model, Recipe(9, 0.1, 0, 0.9, weight_decay=0.0), seed=0, folder=tmp_path)
    before = model.weight.detach().clone()
    target = torch.randn(4, 3, 3, 3)

    def pull() -> Tensor:
        loss: Tensor = (model.weight.contiguous() - target).square().sum() + model.bias.sum()
        return loss

    stage.advance([pull, pull])
    assert torch.equal((model.weight.detach() - before).sign(), (target - before).sign())


@pytest.mark.parametrize("count", [1, 2, 5, 32])
def test_shares_cover_every_row_once(count: int) -> None:
    rows = torch.arange(count)
    assert sorted(torch.cat([rows[part] for part in shares(count)]).tolist()) == rows.tolist()


def test_the_rate_warms_up_stays_and_ends_at_one_percent() -> None:
    recipe = Recipe(steps=1000, rate=7.0, warmup=100, decay=0.9)
    rates = [learning_rate(recipe, step) for step in range(1001)]
    assert rates[0] == 0.01
    assert set(rates[99:701]) == {1.0}
    assert rates[850] == pytest.approx(0.5)
    assert rates[1000] == 0.01


def test_until_the_plateau_ends_the_number_of_steps_does_not_matter() -> None:
    few, many = (Recipe(steps, 1.0, 10, 0.9) for steps in (100, 1000))
    assert [learning_rate(few, step) for step in range(71)] == [learning_rate(many, step) for step in range(71)]


def test_with_muon_vectors_learn_by_adamw_at_a_quarter_of_the_rate(tmp_path: Path) -> None:
    stage = Stage("line", nn.Linear(3, 2), replace(RECIPE, muon=True), seed=0, folder=tmp_path)
    vectors, matrices = stage.optimizers
    assert isinstance(matrices, Muon) and not isinstance(vectors, Muon)
    assert [weight.shape for group in matrices.param_groups for weight in group["params"]] == [(2, 3)]
    assert vectors.param_groups[0]["peak"] == RECIPE.rate / 4 == matrices.param_groups[0]["peak"] / 4


def test_what_needs_no_gradient_does_not_learn(tmp_path: Path) -> None:
    fixed = nn.Linear(3, 3).requires_grad_(False)
    kept = fixed.weight.clone()
    stage = Stage("line", nn.Sequential(fixed, nn.Linear(3, 1)), RECIPE, seed=1, folder=tmp_path)
    advance(stage, 5)
    assert torch.equal(fixed.weight, kept) and torch.equal(next(stage.average.parameters()), kept)


def test_the_first_average_forgets_quickly(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    with torch.no_grad():
        for weight in stage.model.parameters():
            weight.fill_(1.0)
        for weight in stage.average.parameters():
            weight.zero_()
    stage.update_average()
    assert all(bool((weight == 0.9).all()) for weight in stage.average.parameters())


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "value.pt"
    save_atomically({"x": 1}, path)
    with pytest.raises(Exception, match="pickle"):
        save_atomically({"x": lambda: None}, path)
    assert torch.load(path, weights_only=True) == {"x": 1}
