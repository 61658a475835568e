"""Requests and models that the tests of jobs and service share."""

from __future__ import annotations

from typing import Any

from guidance.info import CAPABILITIES, ModelInfo
from guidance.noise import NoiseTable
from jobs.request import GenerationRequest, resolve

TEXT = ModelInfo(
    id="shapes",
    family="stable_diffusion",
    condition="text",
    width=64,
    height=64,
    size_multiple=8,
    max_size=128,
    data="latent",
    capabilities=frozenset(CAPABILITIES),
    layers=("down.0.0", "mid.0", "up.0.0"),
    classes=("red", "blue", "checkered", "dark"),
    prediction_type="eps",
    noise=NoiseTable(),
)
LABELS = TEXT.model_copy(
    update={
        "id": "gaussians",
        "family": "gaussians",
        "condition": "label",
        "labels": ("red", "green"),
        "data": "pixel",
        "capabilities": frozenset({"null_condition"}),
        "classes": (),
    }
)


def a_request(**fields: Any) -> GenerationRequest:
    """A resolved request for a red circle, two steps, seed 7."""
    asked = {"prompt": "a red circle", "seed": 7, "sampler": {"type": "ddim", "steps": 2}} | fields
    return resolve(GenerationRequest.model_validate(asked), TEXT)
