"""Whole images against stock StableDiffusionPipeline: same folder, seed, steps and weight."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray

from guidance.models.base import to_bytes
from guidance.models.stable_diffusion import StableDiffusion
from guidance.protocol import Conditions, drive
from guidance.registry import members
from guidance.samplers import DDIM, DPMpp2M, Sampler
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory

SHAPES = Path(__file__).parents[2] / "models" / "shapes"
SAMPLERS = [method for method in members("sampler") if issubclass(method, Sampler) and method.solver]
"""Those that diffusers has."""
SPACINGS = ("leading", "trailing", "linspace", "karras")
CASES = [
    pytest.param(method, spacing, id=f"{method.type_name()}-{spacing}")
    for method in SAMPLERS
    for spacing in SPACINGS
    if spacing != "karras" or method.karras
]
STEPS, WEIGHT, SEED, PROMPT = 4, 4.0, 7, "a red dot"
FolderOf = Callable[[str], Path]


@cache
def stock(folder: Path) -> tuple[StableDiffusionPipeline, dict[str, Any]]:
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None, requires_safety_checker=False)
    pipeline.to(torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline, dict(pipeline.scheduler.config)


@cache
def model(folder: Path) -> StableDiffusion:
    return StableDiffusion.load(folder, "tiny", torch.device("cpu"), torch.float32)


def theirs(folder: Path, sampler: Sampler, phi: float = 0.0) -> NDArray[np.uint8]:
    """The pipeline with its scheduler exchanged as diffusers documents it."""
    pipeline, config = stock(folder)
    spacing = sampler.spacing or config["timestep_spacing"]
    options: dict[str, Any] = {"timestep_spacing": spacing}
    config = {"clip_sample": False} | config  # as the pipeline corrects it when it is built with such a scheduler
    if spacing == "karras":
        options = {"timestep_spacing": "linspace", "use_karras_sigmas": True}
    if isinstance(sampler, DPMpp2M):
        options |= {"algorithm_type": "dpmsolver++", "solver_order": 2}
    pipeline.scheduler = getattr(diffusers, sampler.solver).from_config(config, **options)
    seeded = torch.Generator().manual_seed(SEED)
    asked = {"num_inference_steps": sampler.steps, "guidance_scale": WEIGHT, "guidance_rescale": phi}
    image: NDArray[np.uint8] = np.asarray(pipeline(PROMPT, generator=seeded, output_type="pil", **asked).images[0])
    return image


def ours(folder: Path, sampler: Any, **guidance: Any) -> NDArray[np.uint8]:
    net, schedule = model(folder), {"type": "constant", "weight": WEIGHT}
    spec = GuidanceSpec.model_validate({"schedule": schedule} | guidance)
    shape, conditions = net.shape(net.info.width, net.info.height), Conditions(net.encode(PROMPT), net.encode(None))
    with torch.inference_mode():
        sample = drive(Trajectory(net, spec, sampler, conditions, shape, SEED).run(), net.evaluate)
    return to_bytes(net.decode(sample))


def apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    """The largest difference of two pictures that are not blank."""
    assert one.std() > 5, "a blank picture compares with nothing"
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.parametrize(("method", "spacing"), CASES)
def test_every_sampler_makes_the_picture_of_diffusers(folder: Path, method: type[Sampler], spacing: str) -> None:
    sampler = method.model_validate({"steps": STEPS, "spacing": spacing})
    assert apart(ours(folder, sampler), theirs(folder, sampler)) <= 1


@pytest.mark.parametrize("name", ["pndm", "euler", "v_prediction", "zero_snr"])
@pytest.mark.parametrize("method", SAMPLERS, ids=lambda method: method.type_name())
def test_the_scheduler_of_the_folder_is_obeyed(folder_of: FolderOf, name: str, method: type[Sampler]) -> None:
    if name == "zero_snr" and not method.zero_snr:
        assert model(folder_of(name)).info.problems(GuidanceSpec(), method())  # type: ignore[arg-type]
        return
    sampler = method(steps=STEPS)
    assert apart(ours(folder_of(name), sampler), theirs(folder_of(name), sampler)) <= 1


@pytest.mark.parametrize("name", ["trailing", "v_prediction"])
def test_rescale_makes_the_picture_of_diffusers(folder_of: FolderOf, name: str) -> None:
    rescaled = ours(folder_of(name), DDIM(steps=STEPS), correction=[{"type": "rescale", "phi": 0.7}])
    assert apart(rescaled, theirs(folder_of(name), DDIM(steps=STEPS), phi=0.7)) <= 1


@pytest.mark.parametrize("path", [SHAPES], ids=["shapes"])
def test_the_shipped_model_makes_the_picture_of_diffusers(path: Path) -> None:
    assert apart(ours(path, DDIM(steps=STEPS)), theirs(path, DDIM(steps=STEPS))) <= 1
