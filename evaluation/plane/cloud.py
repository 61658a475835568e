"""Points sampled by the service's own pipeline: one trajectory, whose rows are the points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from evaluation.plane.model import Plane
from guidance.noise import Level
from guidance.protocol import Branch, Companion, Condition, Conditions, drive
from guidance.samplers import AnySampler, Heun
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory

SAMPLER = Heun(steps=40, spacing="karras")


@dataclass(frozen=True, eq=False)
class Cloud:
    """What came of one spec."""

    points: Tensor
    """Where they end, (N, 2)."""
    path: Tensor
    """x = alpha x0 + sigma eps where each step begins, and the end: (steps + 1, N, 2)."""
    levels: tuple[Level, ...]
    """Of the beginnings of the steps."""
    evaluations: int
    """Of the network, for each point."""


def sampled(
    plane: Plane,
    guidance: Mapping[str, Any],
    count: int,
    *,
    label: int = 0,
    against: int | None = None,
    sampler: AnySampler = SAMPLER,
    weaker: Plane | None = None,
) -> Cloud:
    """Points of a class, of seeds 0 to `count` - 1, by a sampler that draws no noise.

    guidance: as in a request. against: the class that stands where the null condition does. weaker: the model that
    autoguidance knows by its id. ValueError where the service would refuse the request.
    """
    spec = GuidanceSpec.model_validate(guidance)
    for problem in plane.info.problems(spec, sampler):
        raise ValueError(f"{problem.pointer}: {problem.detail}")
    beside = {} if weaker is None else {weaker.info.id: weaker}
    cond, uncond = _told(plane, label, beside), plane.encode(None) if against is None else plane.label(against)
    noise = starts(plane, count)
    trajectory = Trajectory(plane, spec, sampler, Conditions(cond, uncond), tuple(noise.shape), 0, "off", noise)
    path: list[Tensor] = []

    def evaluate(branches: Sequence[Branch]) -> list[Tensor]:
        call = trajectory.plan.calls[trajectory.calls_done]
        if call.step == len(path):
            path.append(branches[0].x)
        models = [plane if branch.cond.model is None else beside[branch.cond.model.id] for branch in branches]
        return [model.evaluate([branch])[0] for model, branch in zip(models, branches, strict=True)]

    end = drive(trajectory.run(), evaluate)
    levels = tuple(call.start for call in trajectory.plan.calls if call.within == 0)
    return Cloud(end.flatten(1), torch.stack([*path, end]).flatten(2), levels, trajectory.nfe_done)


def starts(plane: Plane, count: int) -> Tensor:
    """The noise (N, 2, 1, 1) that requests of seeds 0 to `count` - 1 start from."""
    streams = [torch.Generator().manual_seed(seed) for seed in range(count)]
    return torch.cat([torch.randn(plane.shape(1, 1), generator=stream, dtype=plane.dtype) for stream in streams])


def _told(plane: Plane, label: int, beside: Mapping[str, Plane]) -> Condition:
    """The class, as it is told to each model."""
    kind = plane.info.prediction_type
    elsewhere = {id: replace(model.label(label), model=Companion(id, kind)) for id, model in beside.items()}
    return replace(plane.label(label), elsewhere=elsewhere)
