"""A very small pipeline folder with random weights: what it draws is not looked at."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from training.export import export_pipeline
from training.text import WIDTH, new_text_encoder, new_tokenizer
from training.unet import Denoiser


def small_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        layers_per_block=1,
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
        norm_num_groups=8,
    )


def small_vae() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        sample_size=16,
        mid_block_add_attention=False,
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    tokenizer = new_tokenizer()
    denoiser = Denoiser(small_unet(), new_text_encoder(tokenizer)).eval()
    folder = tmp_path_factory.mktemp("benchmarks") / "small"
    export_pipeline(small_vae().eval(), denoiser, tokenizer, folder)
    return folder
