"""Figures as small files."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

COLOURS = 256
"""Of a picture without shades: a third of the bytes, and the eye sees no difference."""


def save(figure: Figure, path: Path, *, shades: bool = False, dpi: float | str = "figure") -> None:
    """As a PNG; `shades` where colours run into each other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(drawn := io.BytesIO(), format="png", dpi=dpi)
    image = Image.open(drawn).convert("RGB")
    (image if shades else image.quantize(COLOURS)).save(path, optimize=True)
