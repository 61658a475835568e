"""One guided evaluation of a model in closed form, with energies: what they add, and what they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from guidance.models.gaussians import Gaussians
from guidance.noise import Level
from guidance.pipeline import Guided, Pipeline
from guidance.plan import Call
from guidance.protocol import Branch, Condition, Step, drive
from guidance.spec import GuidanceSpec

HERE = Level.variance_preserving(400.0, 1.5)
THERE = Level.variance_preserving(300.0, 0.9)


def standard(pixels: int = 3, channels: int = 1) -> Gaussians:
    """Data N(0, 1) in every pixel: D(x) = alpha x, so every gradient is known."""
    means = torch.zeros(1, channels, pixels, pixels, dtype=torch.float64)
    return Gaussians(means, torch.ones(1, dtype=torch.float64))


def mixture() -> Gaussians:
    """Three overlapping Gaussians: a denoiser that is far from linear."""
    means = torch.randn(3, 1, 3, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return Gaussians(means, torch.tensor([0.5, 0.3, 0.4], dtype=torch.float64))


@dataclass
class Evaluation:
    """Evaluates `model` at `x`, level HERE, on the way to `after`."""

    model: Gaussians
    x: Tensor
    level: Level = HERE
    after: Level = THERE
    cond: Condition | None = None
    asked: list[Branch] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def guided(self, **stages: Any) -> Guided:
        """Under the spec of these stages; the weight is the schedule's at the first step."""
        spec = GuidanceSpec.model_validate(stages)
        weight = spec.schedule.at(0, 10, self.level.ratio)
        cond = self.cond or self.model.label(0)
        step = Step(
            index=0,
            count=10,
            call=0,
            weight=1.0 if weight is None else weight,
            start=self.level,
            cond=Branch("cond", self.x, self.level, cond),
            uncond=Branch("uncond", self.x, self.level, self.model.encode(None)),
            generator=torch.Generator().manual_seed(1),
            memory={},
            after=self.after,
            needs=spec.needs,
            notes=self.notes,
        )
        call = Call(0, 0, 0, 0, False, self.level, self.level, self.after, weight, 0)
        run: Any = Pipeline(spec, self.model).evaluate(call, step)
        return drive(run, self._evaluate)  # type: ignore[return-value]

    def _evaluate(self, branches: Sequence[Branch]) -> list[Tensor]:
        self.asked += branches
        return self.model.evaluate(branches)


def noise(seed: int, like: Gaussians) -> Tensor:
    shape = like.shape(0, 0)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


ALONE = {"type": "constant", "weight": 1}
"""The conditional model alone."""
