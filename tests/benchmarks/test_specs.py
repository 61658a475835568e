"""Random requests: always runnable, always the same for a seed, and over every method."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from benchmarks.specs import STEPS, random_request
from guidance.info import CAPABILITIES, ModelInfo
from guidance.models.gaussians import Gaussians
from guidance.noise import NoiseTable
from guidance.registry import UNIONS, members
from jobs.request import GenerationRequest, resolve

TEXT = ModelInfo(
    id="text",
    family="stable_diffusion",
    condition="text",
    width=64,
    height=64,
    max_size=64,
    data="latent",
    capabilities=frozenset(CAPABILITIES),
    classes=("red", "blue", "star", "dark"),
    layers=("down.0.0", "mid.0", "up.0.0"),
    prediction_type="eps",
    noise=NoiseTable(),
)


def drawn(info: ModelInfo, count: int) -> list[GenerationRequest]:
    random = Random(0)
    return [random_request(random, info) for _ in range(count)]


@pytest.fixture(scope="module")
def as_many_as_are_compared() -> list[GenerationRequest]:
    return drawn(TEXT, 500)


@pytest.mark.parametrize("info", [TEXT, Gaussians.pictures().info], ids=lambda info: info.id)
def test_every_request_can_be_run(info: ModelInfo) -> None:
    for request in drawn(info, 100):
        assert resolve(request, info) == request
        assert STEPS[0] <= request.sampler.steps <= STEPS[1]


def test_a_seed_gives_the_same_requests() -> None:
    assert drawn(TEXT, 20) == drawn(TEXT, 20)


def asked(request: GenerationRequest, stage: str) -> list[Any]:
    """The methods of a stage that a request names."""
    if stage == "loss":
        return [loss for energy in request.guidance.energy for loss in getattr(energy, "losses", ())]
    part = request.sampler if stage == "sampler" else getattr(request.guidance, stage)
    return [method for method in (part if isinstance(part, list) else [part]) if method]


@pytest.mark.parametrize("stage", UNIONS)
def test_every_method_is_drawn(stage: str, as_many_as_are_compared: list[GenerationRequest]) -> None:
    found: set[str] = set()
    for request in as_many_as_are_compared:
        found |= {method.type for method in asked(request, stage)}
    assert found == {method.type_name() for method in members(stage)}
