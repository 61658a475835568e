"""Gradients through a coroutine are those of the function that it computes, whatever it asks of the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from guidance.models.gaussians import Gaussians
from guidance.pipeline import Guided
from guidance.protocol import Asking, Branch, Condition, drive
from guidance.tape import Tape, cut
from tests.guidance.energies.evaluation import HERE, Evaluation, mixture, noise

MODEL = mixture()
X = noise(2, MODEL)


def eps(x: Tensor, cond: Condition) -> Tensor:
    return MODEL.eps(x, HERE.alpha, HERE.sigma, cond.given["prior"])


def twice(x: Tensor) -> Asking[Tensor]:
    """Asks at x, and then at an input made of the answer and of x."""
    [first] = yield [Branch("first", x, HERE, MODEL.label(0))]
    moved = x + first.square()
    second, third = yield [Branch("second", moved, HERE, MODEL.label(1)), Branch("third", x, HERE, MODEL.label(2))]
    return (first * second).sin() + third * x


def taped(
    of: Callable[[Tensor], Asking[Tensor]], x: Tensor, value: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Value and gradient by the tape."""

    def run() -> Any:
        tape = Tape(x)
        result = yield from tape.record(of(tape.x))
        with torch.enable_grad():
            top = value(result)
        return top.detach(), (yield from tape.gradient(top))

    return drive(run(), MODEL.evaluate)  # type: ignore[return-value]


def test_answers_that_feed_later_inputs_are_followed_back() -> None:
    value, gradient = taped(twice, X, lambda result: result.square().sum())
    x = X.clone().requires_grad_()
    first = eps(x, MODEL.label(0))
    second, third = eps(x + first.square(), MODEL.label(1)), eps(x, MODEL.label(2))
    expected = ((first * second).sin() + third * x).square().sum()
    [exact] = torch.autograd.grad(expected, x)
    assert torch.equal(value, expected.detach())
    torch.testing.assert_close(gradient, exact, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "stages",
    [
        {},
        {"combiner": {"type": "apg"}},
        {"combiner": {"type": "characteristic", "basis": None, "max_iterations": 3, "tolerance": 1e-3}},
        {"combiner": {"type": "full_norm"}, "schedule": {"type": "constant", "weight": 0.3}},
        {"combiner": {"type": "tcfg"}, "correction": [{"type": "rescale", "phi": 0.7}]},
        {"combiner": {"type": "power_law"}, "correction": [{"type": "renorm", "mode": "match"}, {"type": "momentum"}]},
        {"schedule": {"type": "constant", "weight": 1}},
        {"schedule": {"type": "constant", "weight": 0}},
    ],
    ids=str,
)
def test_the_gradient_of_any_composition_is_its_slope(stages: dict[str, Any]) -> None:
    """Against central differences of the loss itself, along three directions."""

    def loss(x: Tensor) -> float:
        evaluation = Evaluation(MODEL, x)
        evaluation.guided(energy=[{"type": "dps", "losses": [{"type": "colour"}]}], **stages)
        return float(evaluation.notes["loss"])

    after = Evaluation(MODEL, X).guided(energy=[{"type": "dps", "losses": [{"type": "colour"}]}], **stages).after
    assert after is not None
    for seed in (3, 4, 5):
        direction, length = noise(seed, MODEL), 1e-5
        slope = (loss(X + length * direction) - loss(X - length * direction)) / (2 * length)
        assert float(-(after * direction).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_what_does_not_depend_on_x_has_no_gradient() -> None:
    _, gradient = taped(twice, X, lambda result: result.new_ones(()))
    assert torch.equal(gradient, torch.zeros_like(X))


def test_a_branch_that_nothing_depends_on_is_not_asked_again() -> None:
    def half(x: Tensor) -> Asking[Tensor]:
        used, _ = yield [Branch(name, x, HERE, MODEL.label(0)) for name in ("used", "unused")]
        return used

    names: list[str] = []

    def evaluate(branches: Any) -> list[Tensor]:
        names.extend(branch.name for branch in branches)
        return MODEL.evaluate(branches)

    def run() -> Any:
        tape = Tape(X)
        result = yield from tape.record(half(tape.x))
        with torch.enable_grad():
            top = result.sum()
        return (yield from tape.gradient(top))

    drive(run(), evaluate)
    assert names == ["used", "unused", "used:pull"]


def test_nothing_that_outlives_a_step_holds_its_graph() -> None:
    evaluation = Evaluation(MODEL, X)
    guided: Guided = evaluation.guided(
        energy=[{"type": "dps", "losses": [{"type": "colour"}]}], correction=[{"type": "momentum"}]
    )
    values = [guided.prediction.value, guided.prediction.x, guided.after, *evaluation.notes.values()]
    values += [prediction.value for prediction in guided.seen.values()]
    assert not any(isinstance(value, Tensor) and value.requires_grad for value in values)


def test_cut_reaches_into_whatever_methods_keep() -> None:
    grown = torch.ones(2, requires_grad=True) * 2
    kept = {"a": (grown, 1.0, None), "b": Condition({"text": grown}), "c": True}
    assert not any(t.requires_grad for t in (cut(kept)["a"][0], cut(kept)["b"].embeddings["text"]))
    assert cut(kept)["a"][1:] == (1.0, None) and cut(kept)["c"] is True


def test_a_run_that_fails_closes_what_it_recorded() -> None:
    closed: list[bool] = []

    def asking(x: Tensor) -> Asking[Tensor]:
        try:
            yield [Branch("cond", x, HERE, MODEL.label(0))]
        finally:
            closed.append(True)
        return x

    recording = Tape(X).record(asking(X))
    next(recording)
    with pytest.raises(MemoryError):
        recording.throw(MemoryError)
    assert closed == [True]


def test_a_gradient_is_the_same_alone_and_among_others() -> None:
    """The adapter answers each row's own question."""
    model: Gaussians = MODEL
    pulls = [noise(seed, model) for seed in (1, 2, 3)]
    branches = [Branch("b", noise(9 + k, model), HERE, model.label(k), pull=pull) for k, pull in enumerate(pulls)]
    together = model.evaluate(branches)
    for branch, pull, answer in zip(branches, pulls, together, strict=True):
        assert torch.equal(model.evaluate([branch])[0], answer)
        x = branch.x.clone().requires_grad_()
        [exact] = torch.autograd.grad((eps(x, branch.cond) * pull).sum(), x)
        torch.testing.assert_close(answer, exact, rtol=1e-12, atol=1e-12)


def test_inference_mode_is_refused_rather_than_every_gradient_zero() -> None:
    with torch.inference_mode(), pytest.raises(RuntimeError, match="no_grad"):
        Tape(X)
