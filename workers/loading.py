"""The models that GUIDEPOST_MODELS names, loaded onto a device."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open

from guidance.models.base import Model
from guidance.models.execution import Execution
from guidance.models.gaussians import Gaussians
from guidance.models.graphs import SIZES, Sizes
from jobs.settings import Settings

if TYPE_CHECKING:
    from guidance.models.stable_diffusion import StableDiffusion

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parents[1] / "models"
COMPONENTS = ("scheduler", "text_encoder", "tokenizer", "unet", "vae")
"""What a pipeline folder must hold."""
XL_COMPONENTS = ("text_encoder_2", "tokenizer_2")
XL = "StableDiffusionXLPipeline"
HALVES = {"F16": torch.float16, "BF16": torch.bfloat16}


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
            dtype = pick_dtype(settings.dtype, device, source)
            models[id] = load(id, source, device, dtype, execution(settings))
        except ModelError as error:
            log.error("model %s is not served: %s", id, error)
    if not models:
        raise ModelError(f"none of GUIDEPOST_MODELS = {settings.models!r} could be loaded")
    return models


def load(id: str, source: str, device: torch.device, dtype: torch.dtype, execution: Execution | None = None) -> Model:
    """One model. Raises ModelError, which names the file that is missing or broken."""
    if source == "gaussians":
        return Gaussians.pictures(id, device)
    folder = folder_of(source)
    if not folder.is_dir() and (source.startswith(("/", ".", "~")) or source == id):
        raise ModelError(f"{folder} is not a folder")
    try:
        found = folder if folder.is_dir() else source
        pipeline = _pipeline(found)
        if folder.is_dir():
            _insist(folder, COMPONENTS + XL_COMPONENTS if pipeline == XL else COMPONENTS)
        return _adapter(pipeline).load(found, id, device, dtype, execution)
    except ModelError:
        raise
    except Exception as error:  # loaders raise whatever their file formats do
        broken = "; ".join(_broken(folder)) if folder.is_dir() else ""
        raise ModelError(broken or f"{source}: {error}") from error


def folder_of(source: str) -> Path:
    """Where a shipped model or a folder is; a hub id is no folder that exists."""
    return SHIPPED / source if (SHIPPED / source).is_dir() else Path(source).expanduser()


def execution(settings: Settings) -> Execution:
    """How the settings want networks to be run."""
    sizes = Sizes(most=settings.max_batch_rows or SIZES[-1], always=settings.pad_to_rows)
    return Execution(graphs=settings.graphs == "auto", compiled=settings.compile, sizes=sizes)


def _insist(folder: Path, components: Iterable[str]) -> None:
    """ModelError for one that is missing: loaders report it without its name, or make up a tokenizer."""
    for component in components:
        if not (folder / component).is_dir():
            raise ModelError(f"{folder / component} is missing")


def _pipeline(source: Path | str) -> object:
    """What a pipeline says it is. Imports when needed: transformers and diffusers take seconds, and chatter."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import diffusers
    import transformers

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    return diffusers.DiffusionPipeline.load_config(source).get("_class_name")


def _adapter(pipeline: object) -> type[StableDiffusion]:
    from guidance.models.stable_diffusion import StableDiffusion
    from guidance.models.stable_diffusion_xl import StableDiffusionXL

    return StableDiffusionXL if pipeline == XL else StableDiffusion


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


def pick_dtype(name: str, device: torch.device, source: str = "") -> torch.dtype:
    """auto is float32, and on a GPU half precision: the one that the folder's weights are stored in, else float16."""
    if name != "auto":
        return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[name]
    if device.type != "cuda":
        return torch.float32
    return stored(folder_of(source)) or torch.float16


def stored(folder: Path) -> torch.dtype | None:
    """The half precision in which the network's weights are stored; None where it is another, or cannot be told."""
    files = sorted((folder / "unet").glob("*.safetensors"))
    try:
        with safe_open(files[0], framework="pt") as weights:
            return HALVES.get(weights.get_slice(next(iter(weights.keys()))).get_dtype())
    except (SafetensorError, OSError, IndexError, StopIteration):  # what is wrong with it is said where it is loaded
        return None
