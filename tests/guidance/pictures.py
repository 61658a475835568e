"""Picture files for tests."""

from __future__ import annotations

import io

import PIL.Image


def png(picture: PIL.Image.Image, format: str = "png") -> bytes:
    file = io.BytesIO()
    picture.save(file, format=format)
    return file.getvalue()
