"""Steps without a network: what a method is shown, and answers to what it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from guidance.attention import Capture, Captured
from guidance.combiners import Combiner
from guidance.noise import Level
from guidance.prediction import Kind, Prediction
from guidance.prompted import Wanted
from guidance.protocol import Branch, Condition, Guide, Step, in_space

LEVEL = Level.variance_preserving(500.0, 1.25)
SHAPE = (1, 2, 3, 4)


def noise(seed: int, shape: tuple[int, ...] = SHAPE, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class Others(dict[Wanted, Condition]):
    """Conditions of whatever prompts a method may name."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        self.dtype = dtype

    def __missing__(self, wanted: Wanted) -> Condition:
        return Condition({"text": noise(len(str(wanted)), (1, 5, 6), self.dtype)})


def a_step(weight: float = 3.0, *, x: Tensor | None = None, level: Level = LEVEL, **changes: Any) -> Step:
    """The first of ten steps, with text-like embeddings; `changes` are fields of Step."""
    x = noise(0) if x is None else x
    conditions = [Condition({"text": noise(seed, (1, 5, 6))}) for seed in (1, 2)]
    cond, uncond = (Branch(n, x, level, c) for n, c in zip(("cond", "uncond"), conditions, strict=True))
    fields: dict[str, Any] = {"index": 0, "count": 10, "call": 0, "weight": weight, "start": level, "memory": {}}
    fields |= {"cond": cond, "uncond": uncond, "generator": torch.Generator().manual_seed(3), "others": Others()}
    return Step(**(fields | changes))


def of(branch: Branch) -> str:
    """The branch of the step that this is, or is a repetition of: `cond` for `cond@2`."""
    return branch.name.partition("@")[0]


def answered(guide: Guide, answers: Mapping[str, Tensor]) -> tuple[Tensor, list[str]]:
    """Drive `guide` by hand: its value, and the names of the branches it asked for.

    Branches without an answer of their own get the unconditional one.
    """
    asked: list[str] = []
    try:
        branches = next(guide)
        while True:
            asked += [branch.name for branch in branches]
            branches = guide.send([answer(branch, answers) for branch in branches])
    except StopIteration as done:
        value: Tensor = done.value
        return value, asked


def answer(branch: Branch, answers: Mapping[str, Tensor]) -> Tensor:
    """What a model says to a branch; where attention maps are asked for, it leaves some."""
    for edit in branch.attention:
        if isinstance(edit, Capture):
            tokens = branch.x[0, 0].numel()
            maps = (noise(seed, (tokens, n)).softmax(-1) for seed, n in ((7, tokens), (8, 5)))
            edit.maps.append(Captured("mid.0", *maps))
    return answers.get(of(branch), answers["uncond"]) if "uncond" in answers else answers[of(branch)]


def begun(combiner: Combiner, step: Step) -> Guide:
    """The combiner's coroutine, as a trajectory starts it."""
    return combiner.guide(combiner.prepare(step))


def guided(combiner: Combiner, step: Step, cond: Tensor, uncond: Tensor) -> Tensor:
    """The guided prediction where the network says `cond` and `uncond`."""
    return answered(begun(combiner, step), {"cond": cond, "uncond": uncond})[0]


def through(kind: Kind, combiner: Combiner, step: Step, cond: Prediction, uncond: Prediction) -> Prediction:
    """The guided prediction where a network that answers in `kind` predicts the noise of `cond` and `uncond`."""
    guide = in_space(begun(combiner, step), combiner.space, kind, {})
    said = {"cond": cond.eps, "uncond": uncond.eps}
    try:
        branches = next(guide)
        while True:
            branches = guide.send([Prediction(b.x, b.level, answer(b, said), "eps").view(kind) for b in branches])
    except StopIteration as done:
        own = Prediction(step.cond.x, step.level, step.cond.x, kind)
        return own.replaced(done.value, combiner.space)


def prediction(value: Tensor, kind: Kind = "eps", *, step: Step | None = None) -> Prediction:
    step = step or a_step()
    return Prediction(step.cond.x, step.level, value, kind)
