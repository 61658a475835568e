"""Gradients of the real network and of its decoder: equal bits in any batch, and right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
from torch import Tensor

from guidance.models.base import answered
from guidance.models.stable_diffusion import StableDiffusion
from guidance.noise import Level
from guidance.picture import data_url
from guidance.protocol import Branch, Condition
from jobs.request import GenerationRequest, resolve
from tests.guidance.pictures import png
from tests.guidance.steps import noise
from workers.engine import Engine
from workers.task import Outcome, Task

SHAPES = Path(__file__).parents[2] / "models" / "shapes"
BLOCKS = data_url(png(PIL.Image.linear_gradient("L").resize((4, 4)).convert("RGB")))
SMALL = {"type": "match", "operator": "downscale", "factor": 16, "image": BLOCKS}
COLOUR = {"type": "colour", "target": "#e03131"}
RED = {"type": "label", "labels": ["red"]}

REQUESTS: list[dict[str, Any]] = [
    {"guidance": {"energy": [{"type": "dps", "losses": [SMALL]}]}},
    {"guidance": {"energy": [{"type": "lgd_mc", "samples": 2, "losses": [RED]}], "combiner": {"type": "s_cfg"}}},
    {"guidance": {}},
    {"guidance": {"energy": [{"type": "universal", "losses": [COLOUR], "augmentation": {"copies": 3}, "steps": 2}]}},
    {"guidance": {"energy": [{"type": "dps", "losses": [RED]}], "perturbation": [{"type": "sag"}]}, "n": 2},
    {"guidance": {"energy": [{"type": "classifier", "labels": ["red", "star"]}], "perturbation": [{"type": "pag"}]}},
    {"guidance": {"energy": [{"type": "mpgd", "losses": [SMALL]}], "travel": {"type": "time_travel", "repeats": 2}}},
]
"""Every energy beside methods that look at the attention, and one request without any."""


@cache
def network() -> StableDiffusion:
    return StableDiffusion.load(SHAPES, "shapes", torch.device("cpu"), torch.float32)


@cache
def rows() -> list[Branch]:
    """Different noise, level, prompt and cotangent in each row."""
    model, shape = network(), network().shape(64, 64)
    return [
        Branch(
            "cond",
            noise(row, shape, torch.float32),
            Level.variance_preserving(37.0 * row, 1.0),
            model.encode(f"row {row}"),
            pull=noise(100 + row, shape, torch.float32),
        )
        for row in range(9)
    ]


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("size", [2, 3, 6, 9])
def test_a_row_s_gradient_has_the_same_bits_in_a_batch_of_any_size(size: int, threads: None) -> None:
    together = network().evaluate(rows()[:size])
    for row, found in enumerate(together):
        assert torch.equal(found, network().evaluate([rows()[row]])[0]), f"row {row} of {size}"


def test_a_gradient_is_the_slope_of_the_network() -> None:
    """Against central differences of <output, pull>, in float32: to a few thousandths."""
    branch = rows()[4]
    [gradient] = network().evaluate([branch])
    direction, length = noise(7, tuple(branch.x.shape), torch.float32), 1e-2

    def along(sign: int) -> Tensor:
        [output] = network().evaluate([replace(branch, x=branch.x + sign * length * direction, pull=None)])
        assert branch.pull is not None
        return (output.double() * branch.pull).sum()

    slope = (along(1) - along(-1)) / (2 * length)
    assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=5e-3)


def test_half_precision_keeps_small_cotangents() -> None:
    """1e-9 is nothing in float16, and still a direction; zero stays zero."""
    branch = Branch("b", torch.ones(1, 1, 1, 2), Level.variance_preserving(0, 1.0), Condition())
    small, none = torch.tensor([[[[1e-9, -2e-9]]]]), torch.zeros(1, 1, 1, 2)
    rows = [replace(branch, pull=small), replace(branch, pull=none)]
    found = answered(lambda x: 3 * x, torch.cat([row.x for row in rows]).half(), rows)
    torch.testing.assert_close(found, torch.cat([3 * small, none]), rtol=1e-3, atol=0)


def test_gradients_and_answers_do_not_share_a_forward() -> None:
    asking, plain = rows()[0], replace(rows()[1], pull=None)
    assert network().batch_key(asking) != network().batch_key(plain)
    assert network().batch_key(asking) == network().batch_key(rows()[1])


def test_requests_with_gradients_give_the_bytes_they_give_alone() -> None:
    together = run(REQUESTS)
    for body, images in zip(REQUESTS, together, strict=True):
        [single] = run([body])
        assert [image.pixels.tobytes() for image in images] == [image.pixels.tobytes() for image in single], body


def run(bodies: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """The images of each request, all on one engine."""
    engine, tasks = Engine({"shapes": network()}), []
    for place, body in enumerate(bodies):
        asked = {"prompt": "a shape", "sampler": {"type": "ddim", "steps": 2}} | body
        task = Task(str(place), resolve(GenerationRequest.model_validate(asked | {"seed": 5}), network().info))
        tasks.append(task)
        engine.submit(task)
    engine.stop()
    engine.run()
    return [images_of(task) for task in tasks]


def images_of(task: Task) -> tuple[Any, ...]:
    while not isinstance(update := task.updates.get(), Outcome):
        pass
    assert update.status == "succeeded", update.detail
    assert update.usage is not None and update.usage.nfe > 0
    return update.images
