"""The whole training, stage by stage; every stage resumes from the work folder."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import cast

import torch
from diffusers import AutoencoderKL
from torch import Generator, Tensor
from transformers import CLIPTokenizer

from guidance.models.classifier import NoisyClassifier
from training.captions import EMPTY, draw_claims, phrase
from training.classifier import BATCH, classifier_loss, labels, new_classifier, singles
from training.dropout import drop_condition
from training.export import export_pipeline
from training.latents import cached_latents
from training.pictures import draw_pictures
from training.record import WINDOW, smooth, write_json
from training.sampling import draw_noise, sample
from training.scenes import Scene
from training.sheet import save_grid
from training.stage import Loss, Recipe, Stage, save_atomically, shares
from training.text import new_tokenizer, token_ids
from training.unet import (
    Denoiser,
    NoiseLevels,
    denoising_loss,
    focused_times,
    log_snr_times,
    new_denoiser,
    noise_levels,
)
from training.vae import (
    decode,
    draw_latent_noise,
    new_vae,
    training_batch,
    vae_loss,
    whiten,
)

PREVIEW_CAPTIONS = ("a red star", "a blue circle on a light background", "a small yellow square on a dark background",
                    "a large green ring", "a purple cross on a grey checkered background", "a star",
                    "an orange triangle on a dark striped background", "a pink circle above a cyan square")  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Everything that decides what is trained; the same settings give the same weights, up to rounding."""

    seed: int = 0
    p_uncond: float = 0.1
    scenes: int = 16_000
    pool: int = 4_096
    vae_steps: int = 1_250
    steps: int = 6_000
    batch: int = 32
    rate: float = 8e-4
    times: str = "focused"
    focus: float = 0.5
    classifier_steps: int = 6_000
    preview_steps: int = 30


QUICK = Settings(scenes=64, pool=32, vae_steps=3, steps=4, batch=4, classifier_steps=3, preview_steps=2)
POOL_SEED = 101
WARMUP = 150  # steps of the denoiser and of the classifier
Data = tuple[list[Scene], Tensor]  # scenes and their latents
STAGES = ("vae", "denoiser", "classifier")
RESIZABLE = ("vae_steps", "steps", "batch", "rate", "times", "focus", "classifier_steps", "preview_steps")
"""Settings that may change on resuming."""


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


def train_vae(settings: Settings, work: Path) -> AutoencoderKL:
    """The autoencoder, whitened; kept as whitened.pt when it is done."""
    path = work / "whitened.pt"
    if path.exists():
        vae = new_vae().eval().requires_grad_(False)
        vae.load_state_dict(torch.load(path, weights_only=True))
        return vae
    pool = draw_pictures(settings.pool, settings.seed + POOL_SEED)
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


def draw_times(settings: Settings, levels: NoiseLevels, generator: Generator) -> Tensor:
    """Network times (batch,) from the distribution that the settings name; ValueError for another name."""
    if settings.times == "focused":
        return focused_times(settings.batch, settings.focus, levels, generator)
    if settings.times == "log_snr":
        return log_snr_times(settings.batch, levels, generator)
    raise ValueError(f"times = {settings.times!r}: there are focused and log_snr")


def train_denoiser(
    settings: Settings, data: Data, tokenizer: CLIPTokenizer, work: Path, preview: Callable[[Denoiser], None]
) -> Denoiser:
    """UNet and text encoder, with a fresh caption at every sight of a scene and condition dropout."""
    scenes, latents = data
    torch.manual_seed(settings.seed + 2)
    model = new_denoiser(tokenizer).channels_last()
    stage = Stage("denoiser", model, Recipe(settings.steps, settings.rate, WARMUP, 0.996), settings.seed + 2, work)
    levels, null = noise_levels(), token_ids(tokenizer, [EMPTY])[0]

    def draw(step: int, generator: Generator) -> list[Loss]:
        rows = torch.randint(len(scenes), (settings.batch,), generator=generator)
        captions = [phrase(draw_claims(scenes[row], generator)) for row in rows.tolist()]
        ids, _ = drop_condition(token_ids(tokenizer, captions), null, settings.p_uncond, generator)
        t, z = draw_times(settings, levels, generator), latents[rows]
        eps = torch.randn(z.shape, generator=generator)
        return [
            partial(denoising_loss, model, z[part], ids[part], t[part], eps[part], levels)
            for part in shares(settings.batch)
        ]

    return cast(Denoiser, stage.run(draw, lambda: preview(cast(Denoiser, stage.average.eval()))))


def train_classifier(settings: Settings, data: Data, work: Path) -> NoisyClassifier:
    """The classifier, on the scenes with one thing, at noise levels distributed as the denoiser's are by default."""
    scenes, latents = data
    rows = singles(scenes)
    truth, latents = labels([scenes[row] for row in rows]), latents[rows]
    torch.manual_seed(settings.seed + 3)
    recipe = Recipe(settings.classifier_steps, 2e-3, WARMUP, 0.996, weight_decay=0.05)
    stage = Stage("classifier", new_classifier(), recipe, settings.seed + 3, work)
    model, levels = cast(NoisyClassifier, stage.model), noise_levels()

    def draw(step: int, generator: Generator) -> list[Loss]:
        chosen = torch.randint(len(rows), (BATCH,), generator=generator)
        t, z, y = focused_times(BATCH, settings.focus, levels, generator), latents[chosen], truth[chosen]
        eps = torch.randn(z.shape, generator=generator)
        return [partial(classifier_loss, model, z[part], y[part], t[part], eps[part], levels) for part in shares(BATCH)]

    return cast(NoisyClassifier, stage.run(draw))


def write_log(settings: Settings, work: Path, path: Path) -> None:
    """What the model card tells of the run: settings, and steps, seconds and losses of every stage."""
    stages = {}
    for name in STAGES:
        saved = torch.load(work / f"{name}.pt", weights_only=True)
        losses = [round(loss, 5) for loss in smooth(saved["losses"])]
        stages[name] = {"steps": saved["step"], "seconds": round(saved["seconds"]), "losses": losses}
    write_json({"settings": asdict(settings), "window": WINDOW, "stages": stages}, path)


def train(settings: Settings, out: Path, work: Path) -> int:
    """Train everything and write the pipeline folder `out`; returns its size in bytes."""
    claim_folder(settings, work)
    tokenizer = new_tokenizer()
    vae = train_vae(settings, work)

    def preview(denoiser: Denoiser) -> None:
        """A grid of samples at w = 3 and a whole pipeline folder, both in the work folder."""
        latents = sample(denoiser, tokenizer, PREVIEW_CAPTIONS * 2, draw_noise(16, seed=7), 3.0, settings.preview_steps)
        save_grid(decode(vae, latents), 8, work / "samples.png")
        export_pipeline(vae, denoiser, tokenizer, work / "preview")

    data = cached_latents(vae, settings.scenes, settings.seed + 1000, work / "latents.pt")
    denoiser = train_denoiser(settings, data, tokenizer, work, preview)
    classifier = train_classifier(settings, data, work)
    size = export_pipeline(vae, denoiser, tokenizer, out, classifier)
    write_log(settings, work, out / "assets" / "training.json")
    return size
