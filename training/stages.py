"""What each stage trains, and on which draws. All of them resume from the work folder."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKL
from diffusers.models.attention_processor import AttnProcessor
from torch import Generator, Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from guidance.models.classifier import NoisyClassifier
from training import classifier as noisy
from training import looking
from training.captions import EMPTY, draw_claims, phrase
from training.classifier import classifier_loss, labels, new_classifier, singles
from training.dropout import drop_condition
from training.features import FeatureClassifier
from training.looking import looking_loss, new_features, told, worn
from training.pictures import draw_pictures, draw_scenes
from training.reading import Reader, contents, reading_loss
from training.scenes import Scene
from training.settings import Settings
from training.stage import SHARES, Loss, Recipe, Stage, save_atomically, shares
from training.text import new_text_encoder, token_ids
from training.unet import (
    DECISIONS,
    Denoiser,
    NoiseLevels,
    denoising_loss,
    focused_times,
    log_snr_times,
    new_unet,
    noise_levels,
)
from training.vae import draw_latent_noise, new_vae, training_batch, vae_loss, whiten

POOL_SEED, SCENE_SEED, LOOKING_SEED = 101, 1000, 2000
WARMUP = 150  # steps, of every stage but the autoencoder
READING_BATCH = 256
Data = tuple[list[Scene], Tensor]
"""Scenes and their latents."""


def train_vae(settings: Settings, work: Path) -> AutoencoderKL:
    """The autoencoder, whitened; kept as whitened.pt when it is done."""
    path = work / "whitened.pt"
    if path.exists():
        vae = new_vae().eval().requires_grad_(False)
        vae.load_state_dict(torch.load(path, weights_only=True))
        return vae
    pool = draw_pictures(draw_scenes(settings.pool, settings.seed + POOL_SEED, combinations="seen"))
    torch.manual_seed(settings.seed + 1)  # initial weights; layers draw them from the global generator
    stage = Stage("vae", new_vae(), Recipe(settings.vae_steps, 1.5e-3, 50, 0.998), settings.seed + 1, work)
    vae = cast(AutoencoderKL, stage.model)

    def draw(step: int, generator: Generator) -> list[Loss]:
        x = training_batch(pool, step / settings.vae_steps, settings.batch, generator)
        noise = draw_latent_noise(x, generator)
        return [partial(vae_loss, vae, x[rows], noise[rows]) for rows in shares(len(x))]

    average = cast(AutoencoderKL, stage.run(draw))
    whiten(average, pool[:2048])
    save_atomically(average.state_dict(), path)
    return average


def train_text(settings: Settings, scenes: list[Scene], tokenizer: CLIPTokenizer, work: Path) -> CLIPTextModel:
    """The text encoder, by what captions say of each place; the denoiser takes it as it is."""
    torch.manual_seed(settings.seed + 4)
    reader = Reader(new_text_encoder(tokenizer))
    recipe = Recipe(settings.text_steps, 4e-3, WARMUP, 0.996, muon=True)
    stage = Stage("text", reader, recipe, settings.seed + 4, work)

    def draw(step: int, generator: Generator) -> list[Loss]:
        rows = torch.randint(len(scenes), (READING_BATCH,), generator=generator).tolist()
        chosen = [scenes[row] for row in rows]
        ids = token_ids(tokenizer, [phrase(draw_claims(scene, generator)) for scene in chosen])
        truth = contents(chosen)
        return [partial(reading_loss, reader, ids[part], truth[part]) for part in shares(READING_BATCH)]

    return cast(Reader, stage.run(draw)).text_encoder


def draw_times(settings: Settings, levels: NoiseLevels, generator: Generator) -> Tensor:
    """Network times (batch,) from the distribution that the settings name; ValueError for another name."""
    if settings.times == "focused":
        return focused_times(settings.batch, settings.focus, levels, generator, DECISIONS)
    if settings.times == "log_snr":
        return log_snr_times(settings.batch, levels, generator)
    raise ValueError(f"times = {settings.times!r}: there are focused and log_snr")


def train_denoiser(
    settings: Settings,
    data: Data,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    work: Path,
    preview: Callable[[Denoiser], None] | None = None,
    **shape: Any,
) -> Denoiser:
    """The UNet, with a fresh caption at every sight of a scene and condition dropout. `shape`: see `denoiser_stage`."""
    scenes, latents = data
    stage = denoiser_stage(settings, text_encoder, work, **shape)
    model = cast(Denoiser, stage.model)
    levels, null = noise_levels(), token_ids(tokenizer, [EMPTY])[0]

    def draw(step: int, generator: Generator) -> list[Loss]:
        rows = torch.randint(len(scenes), (settings.batch,), generator=generator)
        captions = [phrase(draw_claims(scenes[row], generator)) for row in rows.tolist()]
        ids, _ = drop_condition(token_ids(tokenizer, captions), null, settings.p_uncond, generator)
        t, z = draw_times(settings, levels, generator), latents[rows]
        eps = torch.randn(z.shape, generator=generator)
        return [
            partial(denoising_loss, model, z[part], ids[part], t[part], eps[part], levels)
            for part in shares(settings.batch, stage.recipe.shares)
        ]

    def show() -> None:
        if preview:
            preview(cast(Denoiser, stage.average.eval()))

    return cast(Denoiser, stage.run(draw, show))


def denoiser_stage(
    settings: Settings, text_encoder: CLIPTextModel, work: Path, name: str = "denoiser", **unet: Any
) -> Stage:
    """A stage for a new UNet in the precision of the settings. `unet`: arguments of `new_unet`."""
    torch.manual_seed(settings.seed + 2)
    model = Denoiser(new_unet(**unet), text_encoder).channels_last()
    low = settings.precision == "bfloat16"
    if low:  # the fused attention's backward pass is slow in bfloat16 on a CPU
        model.unet.set_attn_processor(AttnProcessor())
    # what is translated to C++ does not let go of Python's lock: shares would wait for each other
    parts = 1 if settings.compile else SHARES
    recipe = Recipe(settings.steps, settings.rate, WARMUP, 0.996, muon=True, bfloat16=low, shares=parts)
    stage = Stage(name, model, recipe, settings.seed + 2, work)
    if settings.compile:
        model.unet.compile()
    return stage


def train_classifier(settings: Settings, data: Data, work: Path) -> NoisyClassifier:
    """The classifier, on the scenes with one thing, at noise levels where shapes are decided and at all others."""
    scenes, latents = data
    rows = singles(scenes)
    truth, latents = labels([scenes[row] for row in rows]), latents[rows]
    torch.manual_seed(settings.seed + 3)
    recipe = Recipe(settings.classifier_steps, 2e-3, WARMUP, 0.996, weight_decay=0.05)
    stage = Stage("classifier", new_classifier(), recipe, settings.seed + 3, work)
    model, levels = cast(NoisyClassifier, stage.model), noise_levels()

    def draw(step: int, generator: Generator) -> list[Loss]:
        chosen = torch.randint(len(rows), (noisy.BATCH,), generator=generator)
        t, z, y = focused_times(noisy.BATCH, settings.focus, levels, generator), latents[chosen], truth[chosen]
        eps = torch.randn(z.shape, generator=generator)
        return [
            partial(classifier_loss, model, z[part], y[part], t[part], eps[part], levels)
            for part in shares(noisy.BATCH)
        ]

    return cast(NoisyClassifier, stage.run(draw))


def train_features(settings: Settings, work: Path) -> FeatureClassifier:
    """The classifier of clean pictures. It judges, so it has seen every combination of shape and colour."""
    scenes = draw_scenes(settings.pool, settings.seed + LOOKING_SEED)
    pool, (truth, places) = draw_pictures(scenes), told(scenes)
    torch.manual_seed(settings.seed + 5)
    recipe = Recipe(settings.feature_steps, 2e-3, WARMUP, 0.996, weight_decay=0.05)
    stage = Stage("features", new_features(), recipe, settings.seed + 5, work)
    model = cast(FeatureClassifier, stage.model)

    def draw(step: int, generator: Generator) -> list[Loss]:
        rows = torch.randint(len(pool), (looking.BATCH,), generator=generator)
        pictures, measures = worn(pool[rows].float() / 255, places[rows], generator)
        return [
            partial(looking_loss, model, pictures[part], truth[rows][part], measures[part])
            for part in shares(looking.BATCH)
        ]

    return cast(FeatureClassifier, stage.run(draw))
