"""Pipelines of published architectures with random weights, small: they are served and measured like any other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel

from benchmarks.cuda import main as on_cuda
from benchmarks.shaped import SHAPES, main
from workers.loading import load

SIZES = {"sd15": (859_520_964, 512), "sdxl": (2_567_463_684, 1024)}


@pytest.mark.parametrize("name", SHAPES)
def test_a_network_of_the_full_shape_has_as_many_weights_as_the_published_one(name: str) -> None:
    with torch.device("meta"):
        network = UNet2DConditionModel(**SHAPES[name].unet)
    assert (sum(weight.numel() for weight in network.parameters()), 8 * network.config.sample_size) == SIZES[name]


@pytest.mark.parametrize(("name", "family"), [("sd15", "stable_diffusion"), ("sdxl", "stable_diffusion_xl")])
def test_a_small_one_is_served(name: str, family: str, tmp_path: Path) -> None:
    assert main([name, str(tmp_path / name), "--small", "--dtype", "float16"]) == 0
    model = load(name, str(tmp_path / name), torch.device("cpu"), torch.float32)
    assert (model.info.family, model.info.prediction_type, model.info.width) == (family, "eps", 64)
    pixels = model.decode(torch.ones(model.shape(64, 64)))
    assert pixels.shape == (1, 3, 64, 64) and pixels.isfinite().all()


@pytest.mark.skipif(torch.cuda.is_available(), reason="here it would measure for an hour")
def test_without_a_gpu_the_benchmarks_on_one_say_so_in_a_line() -> None:
    with pytest.raises(SystemExit, match="needs an NVIDIA GPU that torch sees: there is none here"):
        on_cuda([])
