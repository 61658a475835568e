"""Image files: how pixels are encoded, and how a stored file becomes one of another format."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from jobs import provenance

Pixels = NDArray[np.uint8]

QUALITY: dict[str, dict[str, Any]] = {
    "png": {},
    "webp": {"lossless": True},
    "jpeg": {"quality": 95, "subsampling": 0},
}
"""Encoder options by format: nothing is lost where the format allows it."""


def encode(pixels: Pixels, format: str, text: str | None = None) -> bytes:
    """(H, W, 3) bytes -> a file of `format` (png, webp or jpeg) that says `text` of how it was made."""
    said = provenance.options(text, format) if text is not None else {}
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, format=format, **QUALITY[format], **said)
    return file.getvalue()


def convert(data: bytes, format: str) -> bytes:
    """A file of ours in another format; it says the same of how it was made. Equal bytes give equal bytes."""
    with PIL.Image.open(io.BytesIO(data), formats=provenance.FORMATS) as image:
        return encode(np.asarray(image.convert("RGB")), format, provenance.found(image))
