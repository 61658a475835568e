"""Figures as small files."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

LARGEST = 400 * 1024
"""Bytes of a picture in the repository."""
COLOURS = 256
"""Of a picture without shades: a third of the bytes, and the eye sees no difference."""
ROUNDS = 5
"""Of k-means, in search of colours for shades: without it, what is rare loses its own (a green star became grey)."""


def save(figure: Figure, path: Path, *, shades: bool = False, dpi: float | str = "figure") -> None:
    """As a PNG. `shades` where colours run into each other: all of them are kept, unless LARGEST would be passed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(drawn := io.BytesIO(), format="png", dpi=dpi)
    image = Image.open(drawn).convert("RGB")
    if shades and len(whole := _packed(image)) <= LARGEST:
        path.write_bytes(whole)
    else:
        path.write_bytes(_packed(image.quantize(COLOURS, kmeans=ROUNDS if shades else 0)))


def _packed(image: Image.Image) -> bytes:
    image.save(file := io.BytesIO(), format="PNG", optimize=True)
    return file.getvalue()
