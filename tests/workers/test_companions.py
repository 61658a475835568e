"""Two models in one request: each branch goes to the model that it asks, in batches with others."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from guidance.models.base import to_bytes
from guidance.models.gaussians import Gaussians
from guidance.protocol import Branch, Companion, Conditions, drive
from guidance.trajectory import Trajectory
from jobs import queue
from jobs.record import Status
from jobs.request import GenerationRequest, RequestProblems, resolve
from jobs.settings import Settings
from jobs.store import JobStore
from tests.guidance import folders
from tests.workers.conftest import run_to_end, small_mixture
from workers.encoder import Encoder
from workers.engine import Engine
from workers.loading import ModelError
from workers.local import generate
from workers.perform import perform
from workers.runtime import Runtime
from workers.task import Task

BLURRED: dict[str, Any] = {"combiner": {"type": "autoguidance", "model": "blurred"}}
BESIDE_CFG: dict[str, Any] = {"perturbation": [{"type": "autoguidance", "model": "blurred", "scale": 0.5}]}


def blurred() -> Gaussians:
    """The small mixture with wider components: less sure of everything."""
    small = small_mixture()
    return Gaussians(small.means, 2 * small.stds, id="blurred")


MODELS = {"small": small_mixture(), "blurred": blurred()}


def task(id: str, **fields: Any) -> Task:
    body: dict[str, Any] = {"model": "small", "label": 0, "seed": 0, "sampler": {"type": "ddim", "steps": 4}} | fields
    infos = {name: model.info for name, model in MODELS.items()}
    return Task(id, resolve(GenerationRequest.model_validate(body), infos[body["model"]], beside=infos))


def alone(task: Task) -> np.ndarray[Any, Any]:
    """Its first image by the reference driver, which asks each model a row at a time."""
    request, model = task.request, MODELS[task.request.model]
    assert request.seed is not None and request.label is not None
    cond, uncond = model.label(request.label), model.encode(None)
    other = replace(MODELS["blurred"].label(request.label), model=Companion("blurred", "eps"))
    conditions = Conditions(replace(cond, elsewhere={"blurred": other}), uncond)
    trajectory = Trajectory(model, request.guidance, request.sampler, conditions, model.shape(4, 4), request.seed)

    def evaluate(branches: Sequence[Branch]) -> list[Tensor]:
        return [(MODELS["blurred"] if b.cond.model else model).evaluate([b])[0] for b in branches]

    return to_bytes(model.decode(drive(trajectory.run(), evaluate)))


@pytest.mark.parametrize("rows", [1, 3, 16])
def test_requests_of_one_and_two_models_share_the_engine(rows: int) -> None:
    tasks = [
        task("one"),
        task("two", guidance=BLURRED),
        task("three", guidance=BESIDE_CFG, seed=3),
        task("weak alone", model="blurred", label=2),
        task("weak only", guidance=BLURRED | {"schedule": {"type": "constant", "weight": 0}}),
    ]
    engine = Engine(MODELS, max_batch_rows=rows)
    for ended, asked in zip(run_to_end(engine, tasks), tasks, strict=True):
        assert ended.status == "succeeded"
        assert np.array_equal(ended.images[0].pixels, alone(asked))


def test_at_weight_0_the_picture_is_the_weak_model_s() -> None:
    """And at 1 the strong one's, which then asks no other."""
    engine = Engine(MODELS)
    off, on = ({"schedule": {"type": "constant", "weight": weight}} for weight in (0, 1))
    tasks = [task("a", guidance=BLURRED | off), task("b", guidance=BLURRED | on)]
    tasks += [task("c", model="blurred", guidance=on), task("d", guidance=on)]
    weak, strong, blurred_alone, small_alone = (ended.images[0].pixels for ended in run_to_end(engine, tasks))
    assert np.array_equal(weak, blurred_alone) and np.array_equal(strong, small_alone)
    assert not np.array_equal(weak, strong)


def test_a_row_of_each_model_is_two_forwards() -> None:
    engine = Engine(MODELS)
    [ended] = run_to_end(engine, [task("two", guidance=BLURRED)])
    assert ended.usage is not None and ended.usage.nfe == 8
    assert (engine.batcher.totals.forwards, engine.batcher.totals.rows) == (8, 8)


def test_every_condition_is_encoded_by_the_model_that_reads_it() -> None:
    fields = {"condition": [{"type": "swap", "changes": [{"label": 2}]}]}
    request = task("two", guidance=BLURRED | fields).request
    conditions = Encoder().conditions(MODELS["small"], request, MODELS)
    for condition in (conditions.cond, conditions.uncond, conditions.others[2]):
        assert condition.model is None
        assert condition.elsewhere["blurred"].model == Companion("blurred", "eps")
    assert torch.equal(conditions.others[2].elsewhere["blurred"].given["prior"], blurred().label(2).given["prior"])
    assert Encoder().conditions(MODELS["small"], task("one").request).cond.elsewhere == {}


def test_a_model_that_fails_ends_the_requests_that_ask_it_alone() -> None:
    class Broken(Gaussians):
        def evaluate(self, branches: Sequence[Branch]) -> list[Tensor]:
            raise RuntimeError("broken")

    small = small_mixture()
    engine = Engine({"small": small, "blurred": Broken(small.means, small.stds, id="blurred")})
    kept, failed = run_to_end(engine, [asked := task("one"), task("two", guidance=BLURRED)])
    assert (kept.status, failed.status, failed.reason) == ("succeeded", "failed", "internal")
    assert np.array_equal(kept.images[0].pixels, alone(asked))


@pytest.mark.redis
def test_a_worker_without_the_second_model_leaves_the_request_to_others(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = threading.Event()
    stopping.set()  # so that it does not pause before it does
    engine = SimpleNamespace(models={"small": MODELS["small"]})
    events = {"stopping": stopping, "leaving": threading.Event()}
    runtime = SimpleNamespace(store=store, worker_id="worker", engine=engine, **events)
    monkeypatch.setattr(Runtime, "current", runtime, raising=False)
    id = store.create(task("two", guidance=BLURRED).request, 8).id
    perform()
    record = store.get(id)
    assert record is not None and (record.status, record.attempts) == (Status.QUEUED, 0)
    assert queue.queue(store.redis).count == 2  # its own bell, which nobody popped, and the one that was passed on


def test_in_this_process_both_folders_are_loaded(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "pipeline")
    settings = Settings(models=f"strong={folder},weak={folder}", data_dir=tmp_path)
    body: dict[str, Any] = {"model": "strong", "prompt": "a star", "seed": 1, "output": {"embed": False}}
    body["sampler"] = {"type": "ddim", "steps": 2}
    named = {"combiner": {"type": "autoguidance", "model": "weak"}}
    plain, guided = (
        generate(GenerationRequest.model_validate(body | {"guidance": guidance}), settings=settings)
        for guidance in ({"schedule": {"type": "constant", "weight": 1}}, named)
    )
    assert (plain.usage["nfe"], guided.usage["nfe"]) == (2, 4)
    assert plain.images[0].sha256 == guided.images[0].sha256  # D_0 = D_1: the same folder twice
    with pytest.raises(ModelError, match="model = 'nowhere'"):
        elsewhere = {"combiner": {"type": "autoguidance", "model": "nowhere"}}
        generate(GenerationRequest.model_validate(body | {"guidance": elsewhere}), settings=settings)
    with pytest.raises(RequestProblems, match="the request's own model"):
        itself = {"combiner": {"type": "autoguidance", "model": "strong"}}
        generate(GenerationRequest.model_validate(body | {"guidance": itself}), settings=settings)
