"""Whole images of the shipped model against diffusers' own pipelines of a method: PAG, SAG, SEGA."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPAGPipeline, StableDiffusionPipeline, StableDiffusionSAGPipeline
from diffusers.pipelines.deprecated.semantic_stable_diffusion import SemanticStableDiffusionPipeline
from numpy.typing import NDArray

from guidance.models.base import to_bytes
from guidance.models.stable_diffusion import StableDiffusion
from guidance.prompted import Wanted
from guidance.protocol import Condition, Conditions, drive
from guidance.samplers import DDIM
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory

SHAPES = Path(__file__).parents[2] / "models" / "shapes"
STEPS, WEIGHT, SEED = 6, 4.0, 7
PROMPT, OTHER = "a large red star", "a large yellow ring"
ASKED: dict[str, Any] = {"num_inference_steps": STEPS, "guidance_scale": WEIGHT, "output_type": "np"}


@cache
def net() -> StableDiffusion:
    return StableDiffusion.load(SHAPES, "shapes", torch.device("cpu"), torch.float32)


def parts() -> dict[str, Any]:
    """The components of the folder, in float32, for any pipeline class."""
    stock = StableDiffusionPipeline.from_pretrained(SHAPES, safety_checker=None, requires_safety_checker=False)
    stock.to(torch.float32)
    found = {name: part for name, part in stock.components.items() if part is not None}
    found["scheduler"] = DDIMScheduler.from_config(stock.scheduler.config)
    return found | {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}


def picture(pipeline: Any, **asked: Any) -> NDArray[np.uint8]:
    pipeline.set_progress_bar_config(disable=True)
    image = pipeline(PROMPT, generator=torch.Generator().manual_seed(SEED), **(ASKED | asked)).images[0]
    pixels: NDArray[np.uint8] = (image * 255).round().astype(np.uint8)
    return pixels


def ours(**guidance: Any) -> NDArray[np.uint8]:
    spec = GuidanceSpec.model_validate({"schedule": {"type": "constant", "weight": WEIGHT}} | guidance)
    others: dict[Wanted, Condition] = {told: net().encode(told) for told in spec.wanted if isinstance(told, str)}
    conditions = Conditions(net().encode(PROMPT), net().encode(None), others)
    with torch.inference_mode():
        run = Trajectory(net(), spec, DDIM(steps=STEPS), conditions, net().shape(64, 64), SEED).run()
        return to_bytes(net().decode(drive(run, net().evaluate)))


def apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    assert one.std() > 5, "a blank picture compares with nothing"
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def pag() -> NDArray[np.uint8]:
    return picture(StableDiffusionPAGPipeline(**parts(), pag_applied_layers=["mid"]), pag_scale=3.0)


def sag() -> NDArray[np.uint8]:
    return picture(StableDiffusionSAGPipeline(**parts()), sag_scale=0.75)


def sega() -> NDArray[np.uint8]:
    asked = {"editing_prompt": [OTHER], "edit_guidance_scale": 5.0, "edit_warmup_steps": 2, "edit_threshold": 0.9}
    return picture(SemanticStableDiffusionPipeline(**parts()), **asked, reverse_editing_direction=[False])


CASES: dict[str, tuple[Callable[[], NDArray[np.uint8]], dict[str, Any]]] = {
    "pag": (pag, {"perturbation": [{"type": "pag", "scale": 3.0}]}),
    "sag": (sag, {"perturbation": [{"type": "sag", "scale": 0.75}]}),
    "sega": (sega, {"combiner": {"type": "sega", "concepts": [{"prompt": OTHER, "warmup": 0.3}]}}),
}


@pytest.mark.parametrize("name", CASES)
def test_it_makes_the_picture_of_diffusers(name: str) -> None:
    theirs, guidance = CASES[name]
    expected, found = theirs(), ours(**guidance)
    assert apart(found, expected) <= 1
    assert apart(ours(), found) > 5, "the method made no difference"
