"""Image files: what the encoders keep, and what is left when one format becomes another."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from jobs.encoding import convert, encode
from jobs.provenance import found

FORMATS = ("png", "webp", "jpeg")
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def decoded(data: bytes) -> NDArray[np.uint8]:
    with PIL.Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def said(data: bytes) -> str | None:
    with PIL.Image.open(io.BytesIO(data)) as image:
        return found(image)


@pytest.mark.parametrize("format", ["png", "webp"])
def test_lossless_formats_keep_every_byte(format: str) -> None:
    assert np.array_equal(decoded(encode(PIXELS, format)), PIXELS)


def test_jpeg_stays_close_on_smooth_pictures() -> None:
    smooth = np.broadcast_to(np.linspace(0, 255, 64).astype(np.uint8)[:, None, None], (64, 64, 3)).copy()
    assert np.abs(decoded(encode(smooth, "jpeg")).astype(int) - smooth).max() <= 3


@pytest.mark.parametrize("stored", FORMATS)
@pytest.mark.parametrize("asked", FORMATS)
@pytest.mark.parametrize("text", ["how", None])
def test_another_format_says_the_same_and_shows_the_same(stored: str, asked: str, text: str | None) -> None:
    data = encode(PIXELS, stored, text)
    made = convert(data, asked)
    assert made == convert(data, asked) == encode(decoded(data), asked, text)
    assert said(made) == text
    with PIL.Image.open(io.BytesIO(made)) as image:
        assert image.format == asked.upper()
    if asked != "jpeg":
        assert np.array_equal(decoded(made), decoded(data))
