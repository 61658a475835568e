"""Stable Diffusion XL folders: the pictures of diffusers, and what every adapter promises."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, StableDiffusionXLPipeline
from numpy.typing import NDArray

from benchmarks.shaped import SHAPES, make
from guidance.attention import IdentityAttention
from guidance.models.base import to_bytes
from guidance.models.stable_diffusion_xl import StableDiffusionXL
from guidance.noise import Level
from guidance.protocol import Branch, Conditions, drive
from guidance.samplers import DDIM, Euler, Sampler
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory
from tests.guidance.steps import noise
from workers.loading import ModelError, load

CPU = torch.device("cpu")
STEPS, WEIGHT, SEED, PROMPT, OTHER = 4, 4.0, 7, "a red dot", "a ring"
SOLVERS = {"ddim": (DDIM, DDIMScheduler), "euler": (Euler, EulerDiscreteScheduler)}


@pytest.fixture(scope="module")
def xl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(SHAPES["sdxl"].scaled(), tmp_path_factory.mktemp("xl") / "folder")


@pytest.fixture(scope="module")
def net(xl: Path) -> StableDiffusionXL:
    found = load("xl", str(xl), CPU, torch.float32)
    assert isinstance(found, StableDiffusionXL)
    return found


@pytest.fixture(scope="module")
def stock(xl: Path) -> Any:
    pipeline = StableDiffusionXLPipeline.from_pretrained(xl, add_watermarker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def ours(net: StableDiffusionXL, sampler: Sampler, negative: str | None, side: int) -> NDArray[np.uint8]:
    spec = GuidanceSpec.model_validate({"schedule": {"type": "constant", "weight": WEIGHT}})
    conditions = Conditions(net.encode(PROMPT), net.encode(negative))
    with torch.inference_mode():
        run = Trajectory(net, spec, sampler, conditions, net.shape(side, side), SEED).run()  # type: ignore[arg-type]
        return to_bytes(net.decode(drive(run, net.evaluate)))


@pytest.mark.parametrize(("negative", "side"), [(None, 64), (OTHER, 64), (None, 96)])
@pytest.mark.parametrize("name", SOLVERS)
def test_it_makes_the_picture_of_diffusers(
    net: StableDiffusionXL, stock: Any, name: str, negative: str | None, side: int
) -> None:
    method, scheduler = SOLVERS[name]
    stock.scheduler = scheduler.from_config(net.scheduler_config)
    asked = {"num_inference_steps": STEPS, "guidance_scale": WEIGHT, "height": side, "width": side}
    seeded = torch.Generator().manual_seed(SEED)
    expected = np.asarray(stock(PROMPT, negative_prompt=negative, generator=seeded, **asked).images[0])
    found = ours(net, method(steps=STEPS), negative, side)
    assert expected.std() > 5, "a blank picture compares with nothing"
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_it_says_what_it_is(net: StableDiffusionXL) -> None:
    assert (net.info.family, net.info.width, net.info.condition) == ("stable_diffusion_xl", 64, "text")
    assert {"attention", "condition_embedding", "null_condition", "time_embedding"} == net.info.capabilities


def test_the_null_condition_is_nothing_and_an_empty_negative_prompt_is_not(net: StableDiffusionXL) -> None:
    null, empty = net.encode(None), net.encode("")
    assert not null.embeddings["text"].any() and not null.given["pooled"].any()
    assert empty.embeddings["text"].any() and empty.words == null.words


def test_rows_have_the_same_bits_in_any_batch_whatever_others_ask(net: StableDiffusionXL) -> None:
    shape, level = net.shape(64, 64), Level.variance_preserving(400.0, 1.2)
    rows = [Branch("cond", noise(seed, shape, torch.float32), level, net.encode(f"row {seed}")) for seed in range(7)]
    alone = [net.evaluate([row])[0] for row in rows]
    for count in range(2, 8):
        for got, expected in zip(net.evaluate(rows[:count]), alone, strict=False):
            assert torch.equal(got, expected), count
    edited = rows[0].edited(IdentityAttention(("mid",)))
    changed, *others = net.evaluate([edited, *rows[1:]])
    assert not torch.equal(changed, alone[0])
    assert all(torch.equal(got, expected) for got, expected in zip(others, alone[1:], strict=True))


def test_a_missing_second_encoder_is_named(xl: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(xl, tmp_path / "copy"))
    shutil.rmtree(copy / "text_encoder_2")
    with pytest.raises(ModelError, match="text_encoder_2"):
        load("xl", str(copy), CPU, torch.float32)
