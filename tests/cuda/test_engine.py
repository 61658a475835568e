"""The engine on a GPU: it does not wait for the device within a step, and memory that runs out is survived."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from guidance.models.execution import Execution
from guidance.models.stable_diffusion import StableDiffusion
from jobs.request import GenerationRequest, resolve
from tests.cuda.conftest import DEVICE
from tests.workers.conftest import run_to_end
from workers.engine import Engine
from workers.loading import load
from workers.task import Outcome, Task

SPECS: dict[str, dict[str, Any]] = {
    "cfg": {},
    "apg": {"combiner": {"type": "apg"}},
    "rescale": {"correction": [{"type": "rescale", "phi": 0.7}]},
    "pag": {"perturbation": [{"type": "pag", "scale": 3.0}]},
}
SAMPLERS = ("ddim", "dpmpp_2m", "euler")


@pytest.fixture(scope="module")
def shapes(folders: dict[str, Path]) -> StableDiffusion:
    execution = Execution(graphs=True)
    return cast(StableDiffusion, load("shapes", str(folders["shapes"]), DEVICE, torch.float16, execution))


@pytest.fixture
def watched() -> Iterator[None]:
    yield
    torch.cuda.set_sync_debug_mode("default")


def task(model: StableDiffusion, sampler: str = "ddim", steps: int = 12, **fields: Any) -> Task:
    body = {"model": "shapes", "prompt": "a red star", "seed": 1, "diagnostics": "summary"} | fields
    body |= {"sampler": {"type": sampler, "steps": steps}}
    return Task("one", resolve(GenerationRequest.model_validate(body), model.info))


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("name", SPECS)
def test_a_step_does_not_wait_for_the_device(shapes: StableDiffusion, name: str, sampler: str) -> None:
    engine = Engine({"shapes": shapes}, 16)
    engine.submit(task(shapes, sampler, guidance=SPECS[name]))
    for _ in range(3):  # admitted, recorded
        engine.tick()
    torch.cuda.set_sync_debug_mode("error")
    for _ in range(4):
        engine.tick()


@pytest.fixture
def little_memory(shapes: StableDiffusion) -> Iterator[None]:
    """Room for some rows and not for many."""
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info(DEVICE)
    taken = torch.cuda.memory_reserved(DEVICE)
    torch.cuda.set_per_process_memory_fraction((taken + 256 * 2**20) / total, DEVICE)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0, DEVICE)
    torch.cuda.empty_cache()


@pytest.mark.usefixtures("little_memory")
def test_a_batch_without_room_is_run_in_parts(shapes: StableDiffusion) -> None:
    engine = Engine({"shapes": shapes}, 256)
    large: dict[str, Any] = {"width": 256, "height": 256, "n": 16}
    outcomes: list[Outcome] = run_to_end(engine, [task(shapes, steps=2, **large) for _ in range(8)])
    assert [outcome.status for outcome in outcomes] == ["succeeded"] * 8
    assert engine.batcher.totals.out_of_memory and engine.batcher.room.rows < 256
