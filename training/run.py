"""The whole training, stage by stage; every stage resumes from the work folder."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
from diffusers import AutoencoderKL
from torch import Generator, Tensor
from transformers import CLIPTokenizer

from training.captions import EMPTY, draw_claims, phrase
from training.dropout import drop_condition
from training.export import export_pipeline
from training.latents import cached_latents
from training.pictures import draw_pictures
from training.sampling import draw_noise, sample
from training.sheet import save_grid
from training.stage import Recipe, Stage
from training.text import new_tokenizer, token_ids
from training.unet import Denoiser, denoising_loss, new_denoiser, noise_levels
from training.vae import (
    decode,
    decoder_loss,
    encode,
    freeze_encoder,
    new_vae,
    to_signed,
    training_batch,
    vae_loss,
    whiten,
)

PREVIEW_CAPTIONS = ("a red star", "a blue circle on a light background", "a small yellow square on a dark background",
                    "a large green ring", "a purple cross on a grey checkered background", "a star",
                    "an orange triangle on a dark striped background", "a pink circle above a cyan square")  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Everything that decides what is trained; with the same settings and the same machine, the same weights."""

    seed: int = 0
    p_uncond: float = 0.1
    scenes: int = 16_000
    pool: int = 4_096
    vae_steps: int = 1_250
    steps: int = 3_400
    decoder_steps: int = 300
    batch: int = 32
    preview_steps: int = 30


QUICK = Settings(scenes=64, pool=32, vae_steps=3, steps=4, decoder_steps=2, batch=4, preview_steps=2)
RESIZABLE = ("vae_steps", "steps", "decoder_steps", "preview_steps")  # what may change when a run is resumed


def claim_folder(settings: Settings, work: Path) -> None:
    """Note the settings in the work folder; ValueError if it holds a run with others (step counts may change)."""
    work.mkdir(parents=True, exist_ok=True)
    path = work / "settings.json"
    mine = asdict(settings)
    if path.exists():
        theirs = json.loads(path.read_text())
        for name in mine.keys() - set(RESIZABLE):
            if theirs[name] != mine[name]:
                raise ValueError(
                    f"{work} has a run with {name} = {theirs[name]}, not {mine[name]}: choose another --work"
                )
    path.write_text(json.dumps(mine, indent=1))


def train_vae(settings: Settings, pool: Tensor, work: Path) -> AutoencoderKL:
    """The autoencoder, whitened."""
    torch.manual_seed(settings.seed + 1)  # initial weights; layers draw them from the global generator
    stage = Stage("vae", new_vae(), Recipe(settings.vae_steps, 1.5e-3, 50, 0.998), settings.seed + 1, work)
    vae = cast(AutoencoderKL, stage.model)

    def loss(step: int, generator: Generator) -> Tensor:
        return vae_loss(vae, training_batch(pool, step / settings.vae_steps, settings.batch, generator), generator)

    average = cast(AutoencoderKL, stage.run(loss))
    whiten(average, pool[:2048])
    return average


def train_decoder(settings: Settings, vae: AutoencoderKL, pool: Tensor, work: Path) -> AutoencoderKL:
    """The same autoencoder with its decoder trained further, on whole pictures; latents keep their meaning."""
    latents = encode(vae, pool)
    vae = deepcopy(vae)
    freeze_encoder(vae)
    stage = Stage("decoder", vae, Recipe(settings.decoder_steps, 1e-3, 20, 0.995), settings.seed + 3, work)
    count = max(1, settings.batch // 4)

    def loss(step: int, generator: Generator) -> Tensor:
        rows = torch.randint(len(pool), (count,), generator=generator)
        return decoder_loss(cast(AutoencoderKL, stage.model), to_signed(pool[rows]), latents[rows], generator)

    return cast(AutoencoderKL, stage.run(loss))


def train_denoiser(
    settings: Settings, vae: AutoencoderKL, tokenizer: CLIPTokenizer, work: Path, preview: Callable[[Denoiser], None]
) -> Denoiser:
    """UNet and text encoder, with a fresh caption at every sight of a scene and condition dropout."""
    scenes, latents = cached_latents(vae, settings.scenes, settings.seed + 1000, work / "latents.pt")
    torch.manual_seed(settings.seed + 2)
    model = new_denoiser(tokenizer).to(memory_format=torch.channels_last)
    stage = Stage("denoiser", model, Recipe(settings.steps, 8e-4, 150, 0.999), settings.seed + 2, work)
    levels, null = noise_levels(), token_ids(tokenizer, [EMPTY])[0]

    def loss(step: int, generator: Generator) -> Tensor:
        rows = torch.randint(len(scenes), (settings.batch,), generator=generator)
        captions = [phrase(draw_claims(scenes[row], generator)) for row in rows.tolist()]
        ids, _ = drop_condition(token_ids(tokenizer, captions), null, settings.p_uncond, generator)
        return denoising_loss(model, latents[rows], ids, levels, generator)

    return cast(Denoiser, stage.run(loss, lambda: preview(cast(Denoiser, stage.average.eval()))))


def train(settings: Settings, out: Path, work: Path) -> int:
    """Train everything and write the pipeline folder `out`; returns its size in bytes."""
    claim_folder(settings, work)
    tokenizer = new_tokenizer()
    pool = draw_pictures(settings.pool, settings.seed + 101)
    vae = train_vae(settings, pool, work)

    def preview(denoiser: Denoiser) -> None:
        """A grid of samples at w = 3 and a whole pipeline folder, both in the work folder."""
        latents = sample(denoiser, tokenizer, PREVIEW_CAPTIONS * 2, draw_noise(16, seed=7), 3.0, settings.preview_steps)
        save_grid(decode(vae, latents), 8, work / "samples.png")
        export_pipeline(vae, denoiser, tokenizer, work / "preview")

    denoiser = train_denoiser(settings, vae, tokenizer, work, preview)
    vae = train_decoder(settings, vae, pool, work)
    return export_pipeline(vae, denoiser, tokenizer, out)
