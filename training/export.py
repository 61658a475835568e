"""The pipeline folder: standard diffusers layout, fp16 safetensors, for stock `StableDiffusionPipeline`."""

import shutil
from copy import deepcopy
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from transformers import CLIPTokenizer

from guidance.models import classifier as noisy
from guidance.models.classifier import NoisyClassifier
from training import features as clean
from training.features import FeatureClassifier
from training.unet import Denoiser, new_scheduler

LIMIT_BYTES = 12 * 2**20
PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
BESIDE = (noisy.FOLDER, clean.FOLDER)
"""What a pipeline does not need: the classifiers."""


def export_pipeline(
    vae: AutoencoderKL,
    denoiser: Denoiser,
    tokenizer: CLIPTokenizer,
    folder: Path,
    classifier: NoisyClassifier | None = None,
    features: FeatureClassifier | None = None,
) -> int:
    """Write model_index.json, the five parts and the classifiers into `folder`; returns their size in bytes.

    What was there of these is replaced; a classifier of other latents is not left behind.

    Whatever else is in the folder (the model card and its pictures) stays. The new folder is written beside the old
    one first, so a failure leaves the old one whole.
    """
    fresh = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(fresh, ignore_errors=True)
    pipeline = StableDiffusionPipeline(
        vae=deepcopy(vae).to(torch.float16),
        text_encoder=deepcopy(denoiser.text_encoder).to(torch.float16),
        tokenizer=tokenizer,
        unet=deepcopy(denoiser.unet).to(torch.float16),
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(fresh, safe_serialization=True)
    for name, network in zip(BESIDE, (classifier, features), strict=True):
        if network is not None:
            deepcopy(network).to(torch.float16).save_pretrained(fresh / name)
    for file in fresh.rglob("*.safetensors"):
        file.chmod(0o644)  # written as 0600
    folder.mkdir(parents=True, exist_ok=True)
    for part in (*PARTS, *BESIDE):
        shutil.rmtree(folder / part, ignore_errors=True)
        if (fresh / part).exists():
            (fresh / part).rename(folder / part)
    (fresh / "model_index.json").replace(folder / "model_index.json")
    shutil.rmtree(fresh)
    return pipeline_bytes(folder)


def pipeline_bytes(folder: Path) -> int:
    """Bytes of the pipeline's own files and of its classifiers."""
    files = [folder / "model_index.json", *(file for part in (*PARTS, *BESIDE) for file in (folder / part).rglob("*"))]
    return sum(file.stat().st_size for file in files if file.is_file())
