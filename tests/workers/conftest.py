"""A small exact model, requests for it, and models that fail where a test says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from guidance.models.gaussians import Gaussians
from guidance.protocol import Branch
from jobs.connection import connect
from jobs.embedded import EmbeddedRedis
from jobs.request import GenerationRequest, resolve
from jobs.settings import Settings
from jobs.store import JobStore
from workers.engine import Engine
from workers.task import Outcome, Task

MakeTask = Callable[..., Task]


def small_mixture() -> Gaussians:
    """Four components on 3 x 4 x 4 pixels, in float64."""
    seeded = torch.Generator().manual_seed(0)
    means = torch.rand((4, 3, 4, 4), generator=seeded, dtype=torch.float64) * 2 - 1
    return Gaussians(means, torch.tensor([0.1, 0.2, 0.3, 0.4]), id="small")


class Failing(Gaussians):
    """Fails as told: `fault` sees each batch before it is evaluated and may raise or change outputs."""

    fault: Callable[[Sequence[Branch], list[Tensor]], None] = staticmethod(lambda branches, outputs: None)

    def evaluate(self, branches: Sequence[Branch]) -> list[Tensor]:
        outputs = super().evaluate(branches)
        self.fault(branches, outputs)
        return outputs


def poison(label: int, model: Failing) -> Any:
    """A test for the rows of class `label`."""
    prior = model.label(label).given["prior"]
    return lambda branch: torch.equal(branch.cond.given["prior"], prior)


@pytest.fixture
def model() -> Failing:
    mixture = small_mixture()
    return Failing(mixture.means, mixture.stds, id="small")


@pytest.fixture
def engine(model: Failing) -> Engine:
    return Engine({"small": model}, max_batch_rows=8)


@pytest.fixture
def make_task(model: Failing) -> MakeTask:
    def make(id: str = "task", deadline: float | None = None, **fields: Any) -> Task:
        body = {"model": "small", "label": 0, "seed": 0, "sampler": {"type": "ddim", "steps": 4}} | fields
        return Task(id, resolve(GenerationRequest.model_validate(body), model.info), deadline)

    return make


def updates(task: Task) -> list[Any]:
    """Everything the engine has said of a task so far."""
    return [task.updates.get() for _ in range(task.updates.qsize())]


def outcome(task: Task) -> Outcome:
    """How a task ended; fails the test when it has not."""
    *_, last = updates(task)
    assert isinstance(last, Outcome)
    return last


def run_to_end(engine: Engine, tasks: Sequence[Task]) -> list[Outcome]:
    """Submit all at once, tick until all have ended."""
    for task in tasks:
        engine.submit(task)
    engine.stop()
    engine.run()
    return [outcome(task) for task in tasks]


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path_factory.mktemp("worker")) as server:
        yield server


@pytest.fixture(scope="module")
def settings(redis_server: EmbeddedRedis) -> Settings:
    return Settings(redis_url=redis_server.url, data_dir=redis_server.folder.parent, models="gaussians")


@pytest.fixture
def store(settings: Settings) -> Iterator[JobStore]:
    connection = connect(settings)
    yield JobStore(connection, settings)
    connection.close()
