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
    """Greys in all shades, and a small green corner."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(60, 120, (side, side, 1)) + draw.integers(0, 40, (side, side, 3))
    pixels[:12, :12] = GREEN
    figure = Figure(figsize=(side / 100, side / 100), dpi=100)
    figure.figimage(pixels.astype(np.uint8))
    return figure


def corner(path: Path) -> list[int]:
    with Image.open(path) as image:
        colour: list[int] = np.asarray(image.convert("RGB"))[2, 2].tolist()
    return colour


@pytest.mark.parametrize(("side", "mode"), [(100, "RGB"), (500, "P")])
def test_shades_are_kept_where_they_fit_and_rare_colours_where_not(side: int, mode: str, tmp_path: Path) -> None:
    png.save(noisy(side), tmp_path / "a.png", shades=True)
    with Image.open(tmp_path / "a.png") as image:
        assert (image.mode, image.size) == (mode, (side, side))
    assert (tmp_path / "a.png").stat().st_size < png.LARGEST
    assert corner(tmp_path / "a.png") == pytest.approx(GREEN, abs=3)


def test_without_shades_a_picture_has_few_colours(tmp_path: Path) -> None:
    png.save(noisy(100), tmp_path / "new" / "a.png")
    with Image.open(tmp_path / "new" / "a.png") as image:
        assert image.mode == "P"
