"""Our side: one engine on its own thread, as in a worker process."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from guidance.models.stable_diffusion import StableDiffusion
from guidance.noise import Level
from guidance.protocol import Branch
from jobs.request import GenerationRequest
from workers.engine import Engine
from workers.task import Outcome, Task


class Ours:
    """Requests through one engine, submitted all at once."""

    def __init__(self, model: StableDiffusion, max_batch_rows: int) -> None:
        self.model = model
        self.engine = Engine({model.info.id: model}, max_batch_rows)
        self._thread = self.engine.start()

    def run(self, requests: Sequence[GenerationRequest]) -> list[Outcome]:
        """Pixels of every request; raises when one did not succeed."""
        tasks = [Task(str(place), request) for place, request in enumerate(requests)]
        for task in tasks:
            self.engine.submit(task)
        return [_ended(task) for task in tasks]

    def branches(self, rows: int) -> list[Branch]:
        """`rows` evaluations at one level in the middle, of a sample that is noise."""
        info, seeded = self.model.info, torch.Generator().manual_seed(0)
        cond, t = self.model.encode("a red circle"), info.noise.num_train_timesteps // 2
        level = Level.variance_preserving(float(t), float(info.noise.ratios[t]))
        x = torch.randn((rows, *self.model.shape(info.width, info.height)[1:]), generator=seeded)
        return [Branch("cond", row[None], level, cond) for row in x.to(self.model.device)]

    def forward(self, branches: Sequence[Branch]) -> list[Tensor]:
        return self.model.evaluate(branches)

    def close(self) -> None:
        self.engine.stop()
        self._thread.join()


def _ended(task: Task) -> Outcome:
    while not isinstance(update := task.updates.get(), Outcome):
        pass
    if update.status != "succeeded":
        raise RuntimeError(f"{task.request.guidance}: {update.status}, {update.reason}, {update.detail}")
    return update
