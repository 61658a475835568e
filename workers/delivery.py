"""What a client gets of an outcome: encoded images, the diagnostics document and its pictures, as files.

Runs off the engine's thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image

from guidance.diagnostics import UNITS
from guidance.pictures import PICTURES
from jobs import provenance
from jobs.encoding import encode
from jobs.request import GenerationRequest
from workers.drawing import Sheet, sheets
from workers.task import Image, Outcome, Pixels


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


def encoded(image: Image, request: GenerationRequest) -> Encoded:
    """The image as a file of the format that the request names, which says how it was made if that is wanted."""
    height, width, _ = image.pixels.shape
    text = provenance.text(request, image.seed) if request.output.embed else None
    data = encode(image.pixels, request.output.format, text)
    return Encoded(image.index, image.seed, width, height, data)


def shrunk(pixels: Pixels, longest: int) -> Pixels:
    """The picture with no side longer than `longest`; itself where it has none."""
    picture = PIL.Image.fromarray(pixels)
    picture.thumbnail((longest, longest))
    return np.asarray(picture)


def drawn(outcome: Outcome, request: GenerationRequest) -> dict[int, list[Sheet]]:
    """The pictures of every image, by its index."""
    subject = f"label {request.label}" if request.prompt is None else f"“{request.prompt}”"
    return {image.index: sheets(image, subject) for image in outcome.images}


def document(
    outcome: Outcome, request: GenerationRequest, pictures: Mapping[int, Sequence[Sheet]]
) -> dict[str, Any] | None:
    """The diagnostics of every image; steps and pictures only where `full` was asked for. None where they are off."""
    if request.diagnostics == "off":
        return None
    images = [
        {"index": image.index, "seed": image.seed, "summary": image.summary}
        | (_steps(image, pictures[image.index]) if request.diagnostics == "full" else {})
        for image in outcome.images
    ]
    return {"images": images, "units": UNITS}


def _steps(image: Image, pictures: Sequence[Sheet]) -> dict[str, Any]:
    listed = [
        {
            "name": sheet.name,
            "meaning": PICTURES[sheet.name].text,
            "steps": sheet.steps,
            "sha256": sheet.sha256,
            "width": sheet.width,
            "height": sheet.height,
        }
        for sheet in pictures
    ]
    return {"columns": image.columns, "pictures": listed}


def overview(outcome: Outcome) -> dict[str, Any]:
    """The summaries that the job itself shows, one per image."""
    return {"images": [{"index": image.index, "seed": image.seed} | image.summary for image in outcome.images]}
