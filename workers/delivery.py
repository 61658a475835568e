"""What a client gets of an outcome: encoded images and the diagnostics document. Runs off the engine's thread."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image

from guidance.diagnostics import UNITS
from jobs.request import GenerationRequest
from workers.task import Image, Outcome, Pixels

QUALITY = {"png": {}, "webp": {"lossless": True}, "jpeg": {"quality": 95, "subsampling": 0}}
"""Encoder options by format: nothing is lost where the format allows it."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """One image as bytes in the format that was asked for."""

    index: int
    seed: int
    width: int
    height: int
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def encode(pixels: Pixels, format: str) -> bytes:
    """(H, W, 3) bytes -> a file of `format` (png, webp or jpeg)."""
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, format=format, **QUALITY[format])  # type: ignore[arg-type]
    return file.getvalue()


def shrunk(pixels: Pixels, longest: int) -> Pixels:
    """The picture with no side longer than `longest`; itself where it has none."""
    picture = PIL.Image.fromarray(pixels)
    picture.thumbnail((longest, longest))
    return np.asarray(picture)


def encoded(image: Image, format: str) -> Encoded:
    height, width, _ = image.pixels.shape
    return Encoded(image.index, image.seed, width, height, encode(image.pixels, format))


def document(outcome: Outcome, request: GenerationRequest) -> dict[str, Any] | None:
    """The diagnostics of every image; columns only where `full` was asked for. None where they are off."""
    if request.diagnostics == "off":
        return None
    images = [
        {"index": image.index, "seed": image.seed, "summary": image.summary}
        | ({"columns": image.columns} if request.diagnostics == "full" else {})
        for image in outcome.images
    ]
    return {"images": images, "units": UNITS}


def overview(outcome: Outcome) -> dict[str, Any]:
    """The summaries that the job itself shows, one per image."""
    return {"images": [{"index": image.index, "seed": image.seed} | image.summary for image in outcome.images]}
