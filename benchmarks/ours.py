"""Our side: one engine on its own thread, as in a worker process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from benchmarks.watched import Watched
from guidance.models.base import Model
from guidance.models.stable_diffusion import StableDiffusion
from guidance.models.traced import OFTEN, Traced
from guidance.noise import Level
from guidance.protocol import Branch
from jobs.request import GenerationRequest
from workers.engine import Engine
from workers.task import Outcome


class Ours:
    """Requests through one engine, submitted all at once."""

    def __init__(self, model: Model, max_batch_rows: int) -> None:
        self.model = model
        self.engine = Engine({model.info.id: model}, max_batch_rows)
        self._thread = self.engine.start()

    def warm_up(self, rows: int) -> None:
        """Batches of every size until they are traced or recorded, as those of a worker are after its first minutes."""
        for count in range(1, rows + 1):
            for _ in range(OFTEN):
                self.forward(self.branches(count))
        if isinstance(self.model, StableDiffusion) and isinstance(self.model.plain, Traced):
            self.model.plain.settle()

    def run(self, requests: Sequence[GenerationRequest]) -> list[Outcome]:
        """Pixels of every request; raises when one did not succeed."""
        watched = [self.submitted(request) for request in requests]
        return [one.succeeded() for one in watched]

    def run_in_turn(self, groups: Sequence[Sequence[GenerationRequest]]) -> list[Outcome]:
        """One group after another."""
        return [outcome for group in groups for outcome in self.run(group)]

    def submitted(self, request: GenerationRequest) -> Watched:
        watched = Watched(request)
        watched.submit(self.engine)
        return watched

    @contextmanager
    def company(self, requests: Sequence[GenerationRequest]) -> Iterator[list[Watched]]:
        """Requests that run meanwhile, each past its second step; canceled on the way out. Raises where one ended."""
        others = [self.submitted(request) for request in requests]
        try:
            for one in others:
                one.reached(2)  # by then it is known how long one takes
            yield others
            if not all(one.running for one in others):
                raise RuntimeError("the company ended before what was measured in it: it needs more steps")
        finally:
            for one in others:
                one.cancel()
            for one in others:
                one.outcome()

    @property
    def forwards(self) -> Counter[int]:
        """Forwards so far, by their number of rows."""
        return Counter(self.engine.batcher.totals.by_rows)

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
