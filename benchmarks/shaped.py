"""`python -m benchmarks.shaped sd15 FOLDER`: a pipeline folder of a published architecture with random weights.

What it draws is noise, what it costs is the same: a network's speed does not depend on its weights, nor equal bits.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Shape:
    """A pipeline's architecture, as in the config files that were published with it."""

    unet: dict[str, Any]
    vae: dict[str, Any]
    texts: tuple[dict[str, Any], ...]
    scheduler: tuple[str, dict[str, Any]]
    tokens: int = 77
    vocabulary: int = 49408
    small: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What is other where only the plumbing is proved."""

    def scaled(self) -> Shape:
        """The same with few channels: some 400,000 parameters."""
        texts = tuple(text | self.small["text"] for text in self.texts)
        unet, vae = self.unet | self.small["unet"], self.vae | self.small["vae"]
        return Shape(unet, vae, texts, self.scheduler, tokens=12, vocabulary=600)


VIT_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
BIG_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20}
SMALL_TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
SMALL_VAE = {"block_out_channels": (16, 16, 16, 16), "layers_per_block": 1, "norm_num_groups": 8, "sample_size": 64}

SHAPES = {
    # huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5: 860 M parameters in the UNet
    "sd15": Shape(
        unet={
            "sample_size": 64,
            "block_out_channels": (320, 640, 1280, 1280),
            "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
            "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
            "layers_per_block": 2,
            "cross_attention_dim": 768,
            "attention_head_dim": 8,
        },
        vae=VAE | {"sample_size": 512, "scaling_factor": 0.18215},
        texts=(VIT_L | {"projection_dim": 768, "hidden_act": "quick_gelu"},),
        scheduler=("PNDMScheduler", {"skip_prk_steps": True, "set_alpha_to_one": False}),
        small={
            "unet": {
                "sample_size": 8,
                "block_out_channels": (16, 32, 32, 32),
                "cross_attention_dim": 32,
                "norm_num_groups": 8,
                "attention_head_dim": 4,
                "layers_per_block": 1,
            },
            "vae": SMALL_VAE,
            "text": SMALL_TEXT,
        },
    ),
    # huggingface.co/stabilityai/stable-diffusion-xl-base-1.0: 2.57 G parameters in the UNet
    "sdxl": Shape(
        unet={
            "sample_size": 128,
            "block_out_channels": (320, 640, 1280),
            "down_block_types": ("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 2,
            "up_block_types": ("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",),
            "layers_per_block": 2,
            "transformer_layers_per_block": (1, 2, 10),
            "attention_head_dim": (5, 10, 20),
            "cross_attention_dim": 2048,
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        vae=VAE | {"sample_size": 1024, "scaling_factor": 0.13025, "force_upcast": True},
        texts=(
            VIT_L | {"projection_dim": 768, "hidden_act": "quick_gelu"},
            BIG_G | {"projection_dim": 1280, "hidden_act": "gelu"},
        ),
        scheduler=("EulerDiscreteScheduler", {"timestep_spacing": "leading"}),
        small={
            "unet": {
                "sample_size": 8,
                "block_out_channels": (16, 32, 32),
                "transformer_layers_per_block": (1, 1, 2),
                "attention_head_dim": (2, 4, 4),
                "cross_attention_dim": 64,
                "norm_num_groups": 8,
                "addition_time_embed_dim": 8,
                "projection_class_embeddings_input_dim": 80,
                "layers_per_block": 1,
            },
            "vae": SMALL_VAE,
            "text": SMALL_TEXT | {"projection_dim": 32},
        },
    ),
}


def make(shape: Shape, folder: Path, dtype: torch.dtype = torch.float32) -> Path:
    """Write a pipeline of this shape to `folder`: some 2 GB (sd15) or 7 GB (sdxl) in half precision."""
    torch.manual_seed(0)
    tokenizer = _tokenizer(shape.tokens)
    kind, options = shape.scheduler
    with _default(dtype):
        parts = {
            "vae": AutoencoderKL(**shape.vae),
            "unet": UNet2DConditionModel(**shape.unet),
            "tokenizer": tokenizer,
            "text_encoder": CLIPTextModel(_text_config(shape, 0, tokenizer)),
        }
        if len(shape.texts) > 1:
            second = CLIPTextModelWithProjection(_text_config(shape, 1, tokenizer))
            parts |= {"tokenizer_2": tokenizer, "text_encoder_2": second}
    parts["scheduler"] = getattr(diffusers, kind)(**NOISE, **options)
    made = StableDiffusionXLPipeline(**parts, add_watermarker=False) if "tokenizer_2" in parts else _first(parts)
    made.to(dtype).save_pretrained(folder)
    return folder


def _first(parts: dict[str, Any]) -> Any:
    return StableDiffusionPipeline(**parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False)


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    """Weights are made in `dtype`: a large network in another would need twice the memory."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _tokenizer(length: int) -> CLIPTokenizer:
    """CLIP's byte level without a merge: a token a letter."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    entries = [*symbols, *(f"{symbol}</w>" for symbol in symbols), START, END]
    return CLIPTokenizer(
        vocab={token: index for index, token in enumerate(entries)}, merges=[], model_max_length=length
    )


def _text_config(shape: Shape, place: int, tokenizer: CLIPTokenizer) -> CLIPTextConfig:
    return CLIPTextConfig(
        **shape.texts[place],
        vocab_size=shape.vocabulary,
        max_position_embeddings=shape.tokens,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shaped", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("folder", type=Path, help="where the pipeline is written")
    parser.add_argument("--dtype", choices=DTYPES, default="float16", help="of the weights (default: float16)")
    parser.add_argument("--small", action="store_true", help="few channels: proves the plumbing")
    given = parser.parse_args(arguments)
    shape = SHAPES[given.shape]
    print("Written:", make(shape.scaled() if given.small else shape, given.folder, DTYPES[given.dtype]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
