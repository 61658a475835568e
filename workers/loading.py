"""The models that GUIDEPOST_MODELS names, loaded onto a device."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open

from guidance.models.base import Model
from guidance.models.gaussians import Gaussians
from jobs.settings import Settings

if TYPE_CHECKING:
    from guidance.models.stable_diffusion import StableDiffusion

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parents[1] / "models"
COMPONENTS = ("scheduler", "text_encoder", "tokenizer", "unet", "vae")
"""What a pipeline folder must hold."""


class ModelError(ValueError):
    """A model that cannot be served; says which file and why."""


def named(models: str) -> dict[str, str]:
    """`"shapes,sd15=/models/sd15"` -> id to source (a folder, a hub id, or the name of a shipped model)."""
    found: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in models.split(","))):
        id, _, source = item.partition("=")
        if id.strip() in found:
            raise ModelError(f"GUIDEPOST_MODELS names {id.strip()} twice")
        found[id.strip()] = source.strip() or id.strip()
    if not found:
        raise ModelError(f"GUIDEPOST_MODELS = {models!r} names no model")
    return found


def load_all(settings: Settings) -> dict[str, Model]:
    """Every model that loads. One that does not is reported and left out; none at all raises ModelError."""
    device, models = pick_device(settings.device), dict[str, Model]()
    for id, source in named(settings.models).items():
        try:
            models[id] = load(id, source, device, pick_dtype(settings.dtype, device))
        except ModelError as error:
            log.error("model %s is not served: %s", id, error)
    if not models:
        raise ModelError(f"none of GUIDEPOST_MODELS = {settings.models!r} could be loaded")
    return models


def load(id: str, source: str, device: torch.device, dtype: torch.dtype) -> Model:
    """One model. Raises ModelError, which names the file that is missing or broken."""
    if source == "gaussians":
        return Gaussians.pictures(id, device)
    folder = SHIPPED / source if (SHIPPED / source).is_dir() else Path(source).expanduser()
    if not folder.is_dir() and (source.startswith(("/", ".", "~")) or source == id):
        raise ModelError(f"{folder} is not a folder")
    if folder.is_dir():
        for component in COMPONENTS:  # loaders report the lack of one without its name, or make up a tokenizer
            if not (folder / component).is_dir():
                raise ModelError(f"{folder / component} is missing")
    try:
        return _pipeline().load(folder if folder.is_dir() else source, id, device, dtype)
    except Exception as error:  # loaders raise whatever their file formats do
        broken = "; ".join(_broken(folder)) if folder.is_dir() else ""
        raise ModelError(broken or f"{source}: {error}") from error


def _pipeline() -> type[StableDiffusion]:
    """The adapter, imported when it is needed: transformers and diffusers take seconds, and chatter."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import diffusers
    import transformers

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    from guidance.models.stable_diffusion import StableDiffusion

    return StableDiffusion


def _broken(folder: Path) -> Iterator[str]:
    """Weight files that cannot be read, which loaders report without their names."""
    for file in sorted(folder.rglob("*.safetensors")):
        try:
            with safe_open(file, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            yield f"{file}: {error}"


def pick_device(name: str) -> torch.device:
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """auto is float16 on a GPU and float32 elsewhere."""
    if name != "auto":
        return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[name]
    return torch.float16 if device.type == "cuda" else torch.float32
