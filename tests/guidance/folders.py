"""Pipeline folders with tiny random networks: what a user would point the service at, made in a second."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

WIDTH = 32
TOKENS = 12
START, END = "<|startoftext|>", "<|endoftext|>"
BLOCKS = ("CrossAttnDownBlock2D", "DownBlock2D")
TABLE: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}

SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "trailing": ("DDIMScheduler", {"timestep_spacing": "trailing", "set_alpha_to_one": False, "clip_sample": False}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True, "set_alpha_to_one": False, "clip_sample": False}),
    "euler": ("EulerDiscreteScheduler", {"timestep_spacing": "linspace"}),
    "v_prediction": ("DDIMScheduler", {"prediction_type": "v_prediction", "clip_sample": False}),
    "zero_snr": (
        "DDIMScheduler",
        {
            "prediction_type": "v_prediction",
            "rescale_betas_zero_snr": True,
            "timestep_spacing": "trailing",
            "clip_sample": False,
        },
    ),
}
"""Scheduler configurations as folders in the wild have them; each over `TABLE`."""


def make(folder: Path) -> Path:
    """A Stable Diffusion pipeline of some 300,000 random parameters: 32 x 32 pixels, 8 x 8 latents."""
    torch.manual_seed(0)
    tokenizer = _tokenizer()
    scheduler = DDIMScheduler(**TABLE, **SCHEDULERS["trailing"][1])
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(WIDTH, 2 * WIDTH),
        layers_per_block=1,
        down_block_types=BLOCKS,
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    pipeline = StableDiffusionPipeline(
        vae=_vae(),
        text_encoder=_text_encoder(tokenizer),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)
    return folder


def with_scheduler(folder: Path, name: str, copy: Path) -> Path:
    """A copy of `folder` that carries another scheduler."""
    shutil.copytree(folder, copy)
    kind, options = SCHEDULERS[name]
    getattr(diffusers, kind)(**TABLE, **{k: v for k, v in options.items() if k != "clip_sample"}).save_pretrained(
        copy / "scheduler"
    )
    _update(copy / "scheduler" / "scheduler_config.json", options)
    _update(copy / "model_index.json", {"scheduler": ["diffusers", kind]})
    return copy


def _update(file: Path, changes: dict[str, Any]) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(16, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=32,
    )


def _tokenizer() -> CLIPTokenizer:
    """CLIP's byte level without a merge: a token a letter."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    entries = [*symbols, *(f"{symbol}</w>" for symbol in symbols), START, END]
    vocabulary = {token: index for index, token in enumerate(entries)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=TOKENS)


def _text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)
