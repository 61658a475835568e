"""Steps without a network: what a method is shown, and answers to what it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from guidance.combiners import Combiner
from guidance.noise import Level
from guidance.prediction import Kind, Prediction
from guidance.protocol import Branch, Condition, Guide, Guided, Step, in_space

LEVEL = Level.variance_preserving(500.0, 1.25)
SHAPE = (1, 2, 3, 4)


def noise(seed: int, shape: tuple[int, ...] = SHAPE, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def a_step(weight: float = 3.0, *, x: Tensor | None = None, level: Level = LEVEL, **changes: Any) -> Step:
    """The first of ten steps, with text-like embeddings; `changes` are fields of Step."""
    x = noise(0) if x is None else x
    conditions = [Condition({"text": noise(seed, (1, 5, 6))}) for seed in (1, 2)]
    cond, uncond = (Branch(n, x, level, c) for n, c in zip(("cond", "uncond"), conditions, strict=True))
    fields: dict[str, Any] = {"index": 0, "count": 10, "call": 0, "weight": weight, "start": level, "memory": {}}
    fields |= {"cond": cond, "uncond": uncond, "generator": torch.Generator().manual_seed(3)}
    return Step(**(fields | changes))


def of(branch: Branch) -> str:
    """The branch of the step that this is, or is a repetition of: `cond` for `cond@2`."""
    return branch.name.partition("@")[0]


def answered(guide: Guide, answers: Mapping[str, Tensor]) -> tuple[Tensor, list[str]]:
    """Drive `guide` by hand: its value, and the names of the branches it asked for."""
    asked: list[str] = []
    try:
        branches = next(guide)
        while True:
            asked += [branch.name for branch in branches]
            branches = guide.send([answers[of(branch)] for branch in branches])
    except StopIteration as done:
        value: Tensor = done.value
        return value, asked


def guided(combiner: Combiner, step: Step, cond: Tensor, uncond: Tensor) -> Tensor:
    """The guided prediction where the network says `cond` and `uncond`."""
    return answered(combiner.guide(step), {"cond": cond, "uncond": uncond})[0]


def through(kind: Kind, combiner: Combiner, step: Step, cond: Prediction, uncond: Prediction) -> Prediction:
    """The guided prediction where a network that answers in `kind` predicts the noise of `cond` and `uncond`."""
    guide: Guided = in_space(combiner.guide(step), step, combiner.space, kind, {})
    said = {"cond": cond.eps, "uncond": uncond.eps}
    try:
        branches = next(guide)
        while True:
            branches = guide.send([Prediction(b.x, b.level, said[of(b)], "eps").view(kind) for b in branches])
    except StopIteration as done:
        prediction: Prediction = done.value
        return prediction


def prediction(value: Tensor, kind: Kind = "eps", *, step: Step | None = None) -> Prediction:
    step = step or a_step()
    return Prediction(step.cond.x, step.level, value, kind)
