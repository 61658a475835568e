"""A cloud is what the service samples: seed by seed, spec by spec, refusals included."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from evaluation.plane.cloud import sampled
from evaluation.plane.three_gaussians import PLANE
from guidance.models.gaussians import Gaussians
from guidance.plan import plan
from guidance.protocol import Conditions, drive
from guidance.samplers import DDIM, AnySampler, Heun
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory

HEUN, STEPS = Heun(steps=8, spacing="karras"), DDIM(steps=8)
CONSTANT: dict[str, Any] = {"schedule": {"type": "constant", "weight": 3}}
INTERVAL: dict[str, Any] = {"schedule": {"type": "interval", "weight": 3, "sigma_low": 0.2, "sigma_high": 0.8}}
SPECS: dict[str, tuple[dict[str, Any], AnySampler]] = {
    "cfg": (CONSTANT, HEUN),
    "interval": (INTERVAL, HEUN),
    "dynamic": ({"schedule": {"type": "dynamic_cfg", "weight": 3}}, HEUN),
    "cfgpp": ({"combiner": {"type": "cfgpp"}}, STEPS),
    "characteristic": (CONSTANT | {"combiner": {"type": "characteristic", "basis": None}}, HEUN),
}


@pytest.mark.parametrize("name", SPECS)
def test_a_point_is_what_the_servable_model_samples_from_its_seed(name: str) -> None:
    guidance, sampler = SPECS[name]
    crowd = sampled(PLANE, guidance, 2, sampler=sampler).points
    alone = Gaussians(PLANE.means, PLANE.stds)
    conditions, spec = Conditions(alone.label(0), alone.encode(None)), GuidanceSpec.model_validate(guidance)
    for seed, point in enumerate(crowd):
        trajectory = Trajectory(alone, spec, sampler, conditions, alone.shape(1, 1), seed)
        torch.testing.assert_close(point, drive(trajectory.run(), alone.evaluate).flatten(), rtol=0, atol=1e-12)


def test_a_path_begins_at_the_noise_and_ends_at_the_points() -> None:
    cloud = sampled(PLANE, CONSTANT, 3, sampler=HEUN)
    first = torch.randn(PLANE.shape(1, 1), generator=torch.Generator().manual_seed(0), dtype=PLANE.dtype)
    torch.testing.assert_close(cloud.path[0, 0], cloud.levels[0].sigma * first.flatten(), rtol=1e-6, atol=0)
    assert torch.equal(cloud.path[-1], cloud.points) and len(cloud.path) == len(cloud.levels) + 1 == HEUN.steps + 1


@pytest.mark.parametrize("guidance", [CONSTANT, INTERVAL], ids=["constant", "interval"])
def test_evaluations_are_those_of_the_plan(guidance: dict[str, Any]) -> None:
    planned = plan(GuidanceSpec.model_validate(guidance), HEUN, PLANE.info)
    assert sampled(PLANE, guidance, 2, sampler=HEUN).evaluations == planned.nfe


def test_what_the_service_would_refuse_is_refused() -> None:
    with pytest.raises(ValueError, match="/guidance/condition/0/type: cads needs a model with condition_embedding"):
        sampled(PLANE, CONSTANT | {"condition": [{"type": "cads"}]}, 1)
