"""The whole training, stage by stage; every stage resumes from the work folder."""

from dataclasses import asdict, replace
from pathlib import Path

import torch

from training.export import export_pipeline
from training.latents import cached_latents
from training.record import WINDOW, smooth, write_json
from training.sampling import draw_noise, sample
from training.settings import Settings, claim_folder
from training.sheet import save_grid
from training.stages import (
    SCENE_SEED,
    train_classifier,
    train_denoiser,
    train_features,
    train_text,
    train_vae,
)
from training.text import new_tokenizer
from training.unet import WEAK_WIDTHS, Denoiser
from training.vae import decode

PREVIEW_CAPTIONS = (
    "a red star", "a blue circle on a light background", "a small yellow square on a dark background",
    "a large green ring", "a purple cross on a grey checkered background", "a red circle above a blue square",
    "an orange triangle left of a cyan ring", "a pink circle above a cyan square",
)  # fmt: skip
STAGES = ("vae", "text", "denoiser", "weak", "classifier", "features")


def weak_folder(out: Path) -> Path:
    """Where the weaker model goes that autoguidance asks: beside the model."""
    return out.with_name(f"{out.name}-weak")


def write_log(settings: Settings, work: Path, path: Path) -> None:
    """What the model card tells of the run: settings, and steps, seconds and losses of every stage."""
    stages = {}
    for name in STAGES:
        saved = torch.load(work / f"{name}.pt", weights_only=True)
        losses = [round(loss, 5) for loss in smooth(saved["losses"])]
        stages[name] = {"steps": saved["step"], "seconds": round(saved["seconds"]), "losses": losses}
    write_json({"settings": asdict(settings), "window": WINDOW, "stages": stages}, path)


def train(settings: Settings, out: Path, work: Path) -> int:
    """Train everything, write the pipeline folder `out` and the weaker model's beside it; returns the size of `out`."""
    claim_folder(settings, work)
    tokenizer = new_tokenizer()
    vae = train_vae(settings, work)
    data = cached_latents(vae, settings.scenes, settings.seed + SCENE_SEED, work / "latents.pt")
    text_encoder = train_text(settings, data[0], tokenizer, work)

    def preview(denoiser: Denoiser) -> None:
        """A grid of samples at w = 3 and a whole pipeline folder, both in the work folder."""
        latents = sample(denoiser, tokenizer, PREVIEW_CAPTIONS * 2, draw_noise(16, seed=7), 3.0, settings.preview_steps)
        save_grid(decode(vae, latents), 8, work / "samples.png")
        export_pipeline(vae, denoiser, tokenizer, work / "preview")

    denoiser = train_denoiser(settings, data, text_encoder, tokenizer, work, preview)
    shorter = replace(settings, steps=settings.weak_steps)
    weak = train_denoiser(shorter, data, text_encoder, tokenizer, work, name="weak", widths=WEAK_WIDTHS)
    classifier, features = train_classifier(settings, data, work), train_features(settings, work)
    export_pipeline(vae, weak, tokenizer, weak_folder(out))
    size = export_pipeline(vae, denoiser, tokenizer, out, classifier, features)
    write_log(settings, work, out / "assets" / "training.json")
    return size
