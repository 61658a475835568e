"""Whole images on a GPU against stock diffusers: half precision loses no more here than there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from guidance.models.base import to_bytes
from guidance.models.execution import Execution
from guidance.models.stable_diffusion import StableDiffusion
from guidance.protocol import Conditions, drive
from guidance.samplers import DDIM
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory
from tests.cuda.conftest import DEVICE, NAMES
from workers.loading import load

STEPS, WEIGHT, SEED, PROMPT = 10, 3.0, 7, "a large red star"
SLACK = 1.0
"""Of 255, on the mean over a picture."""


def ours(folder: Path, dtype: torch.dtype, graphs: bool = True) -> NDArray[np.uint8]:
    net = load("net", str(folder), DEVICE, dtype, Execution(graphs=graphs))
    assert isinstance(net, StableDiffusion)
    spec = GuidanceSpec.model_validate({"schedule": {"type": "constant", "weight": WEIGHT}})
    shape, conditions = net.shape(net.info.width, net.info.height), Conditions(net.encode(PROMPT), net.encode(None))
    with torch.no_grad():
        sample = drive(Trajectory(net, spec, DDIM(steps=STEPS), conditions, shape, SEED).run(), net.evaluate)
        return to_bytes(net.decode(sample))


def theirs(folder: Path, dtype: torch.dtype) -> NDArray[np.uint8]:
    pipeline: Any = diffusers.DiffusionPipeline.from_pretrained(folder, dtype=dtype).to(DEVICE)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = diffusers.DDIMScheduler.from_config({"clip_sample": False} | dict(pipeline.scheduler.config))
    asked = {"num_inference_steps": STEPS, "guidance_scale": WEIGHT}
    image = pipeline(PROMPT, generator=torch.Generator().manual_seed(SEED), **asked).images[0]
    return np.asarray(image)


def apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    assert one.std() > 5, "a blank picture compares with nothing"
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.filterwarnings("ignore:`upcast_vae` is deprecated:FutureWarning")  # diffusers calls it itself
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_half_precision_is_as_near_to_single_as_that_of_diffusers(
    folders: dict[str, Path], name: str, dtype: torch.dtype
) -> None:
    exact = theirs(folders[name], torch.float32)
    assert apart(ours(folders[name], dtype), exact) <= apart(theirs(folders[name], dtype), exact) + SLACK


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_makes_the_picture_of_diffusers(folders: dict[str, Path], name: str) -> None:
    assert apart(ours(folders[name], torch.float32), theirs(folders[name], torch.float32)) <= SLACK


@pytest.mark.parametrize("name", NAMES)
def test_recorded_steps_make_the_picture_of_plain_ones(folders: dict[str, Path], name: str) -> None:
    """A step of one request has two rows, and so has its recording."""
    assert np.array_equal(ours(folders[name], torch.float16), ours(folders[name], torch.float16, graphs=False))
