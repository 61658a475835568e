"""What an image depends on: its request, the weights of the models it asks, what they run on, its methods' code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel

from evaluation.shelf import digest
from evaluation.source import code_digest
from guidance.models.base import Model
from guidance.models.classifier import FOLDER
from guidance.stage import Stage
from jobs.request import GenerationRequest
from workers.loading import COMPONENTS

SAMPLED = {"model", "prompt", "label", "negative_prompt", "seed", "width", "height", "sampler", "guidance", "source"}
"""Fields of a request that decide its image."""


class Identity:
    """Digests of images that are still to be sampled."""

    def __init__(self, models: Mapping[str, Model], folders: Mapping[str, Path], arithmetic: str = "") -> None:
        """`arithmetic`: on which device and in which precision the networks compute."""
        self._models = models
        self._folders = folders
        self._arithmetic = arithmetic

    def of(self, requests: Sequence[GenerationRequest]) -> str:
        """Of the images of these requests, one after another; the requests are resolved and of one spec."""
        first = requests[0]
        asked = [first.model, *first.guidance.companions]
        parts = (*COMPONENTS, *((FOLDER,) if first.guidance.energy else ()))
        weights = {id: fingerprint(self._folders[id], parts) for id in asked}
        roots = {type(self._models[id]).__module__ for id in asked} | set(stage_modules(first))
        said = [request.model_dump(mode="json", include=SAMPLED) for request in requests]
        return digest(code_digest(roots | {"guidance.trajectory"}), weights, self._arithmetic, said)


def stage_modules(value: object) -> Iterator[str]:
    """The modules of all stages in a request, those that are inside of others too."""
    if isinstance(value, Stage):
        yield type(value).__module__
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from stage_modules(getattr(value, name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from stage_modules(item)


@cache
def fingerprint(folder: Path, parts: tuple[str, ...]) -> str:
    """Of all files in these parts of a pipeline folder, names and contents."""
    total = sha256()
    for path in sorted(path for part in parts for path in (folder / part).rglob("*") if path.is_file()):
        content = sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(folder)} {content}\n".encode())
    return total.hexdigest()
