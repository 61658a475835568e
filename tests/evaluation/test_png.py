"""Pictures are small, and colours that are rare are still themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from evaluation import png

GREEN = (55, 178, 77)


def noisy(side: int) -> Figure:
    """Greys and pinks in all shades, and a green corner."""
    pixels = np.random.default_rng(0).integers((90, 90, 90), (255, 110, 160), (side, side, 3))
    pixels[: side // 10, : side // 10] = GREEN
    figure = Figure(figsize=(side / 100, side / 100), dpi=100)
    figure.figimage(pixels.astype(np.uint8))
    return figure


def corner(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))[2, 2].astype(int)


@pytest.mark.parametrize(("side", "mode"), [(100, "RGB"), (500, "P")])
def test_all_shades_are_kept_where_they_fit(side: int, mode: str, tmp_path: Path) -> None:
    png.save(noisy(side), tmp_path / "a.png", shades=True)
    with Image.open(tmp_path / "a.png") as image:
        assert (image.mode, image.size) == (mode, (side, side))
    assert (tmp_path / "a.png").stat().st_size < png.LARGEST
    assert np.abs(corner(tmp_path / "a.png") - GREEN).max() < 12


def test_without_shades_a_picture_has_few_colours(tmp_path: Path) -> None:
    png.save(noisy(100), tmp_path / "new" / "a.png")
    with Image.open(tmp_path / "new" / "a.png") as image:
        assert image.mode == "P"
