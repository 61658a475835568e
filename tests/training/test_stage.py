"""A stage: its schedule, its average, and a resumed run that computes the same bits as an uninterrupted one."""

from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor, nn

from training.stage import Recipe, Stage, learning_rate, save_atomically

RECIPE = Recipe(steps=12, rate=0.05, warmup=3, decay=0.9)


def new_stage(folder: Path) -> Stage:
    torch.manual_seed(0)
    return Stage("line", nn.Linear(3, 1), RECIPE, seed=1, folder=folder)


def advance(stage: Stage, steps: int) -> None:
    for _ in range(steps):
        stage.advance(fit(stage.model, stage.generator))


def fit(model: nn.Module, generator: Generator) -> Tensor:
    x = torch.randn(8, 3, generator=generator)
    error: Tensor = model(x) - x.sum(1, keepdim=True)
    return error.square().mean()


def test_a_resumed_stage_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = new_stage(tmp_path / "whole")
    whole.run(lambda step, generator: fit(whole.model, generator))
    first = new_stage(tmp_path / "parts")
    advance(first, 5)
    first.checkpoint()
    second = new_stage(tmp_path / "parts")
    assert second.step == 5
    second.run(lambda step, generator: fit(second.model, generator))
    assert second.losses == whole.losses
    for ours, theirs in zip(second.average.parameters(), whole.average.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_finished_stage_does_nothing_more(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    stage.run(lambda step, generator: fit(stage.model, generator))
    again = new_stage(tmp_path)
    again.run(lambda step, generator: pytest.fail("a step was taken"))
    assert again.step == RECIPE.steps


def test_a_stage_learns(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    advance(stage, 200)
    assert stage.losses[-1] < stage.losses[0] / 4


def test_previews_come_eight_times_at_most(tmp_path: Path) -> None:
    stage, seen = new_stage(tmp_path), []
    stage.run(lambda step, generator: fit(stage.model, generator), lambda: seen.append(stage.step))
    assert seen == [2, 4, 6, 8, 10, 12]


def test_the_rate_warms_up_peaks_and_ends_at_one_percent() -> None:
    recipe = Recipe(steps=1000, rate=1.0, warmup=100, decay=0.9)
    rates = [learning_rate(recipe, step) for step in range(1001)]
    assert rates[0] == 0.01
    assert max(rates) == rates[99] == rates[100] == 1.0
    assert rates[550] == pytest.approx(0.505)
    assert rates[1000] == pytest.approx(0.01)


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
