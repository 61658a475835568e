"""The grid and the plot of the demo."""

import io
from pathlib import Path

from PIL import Image

from cli import pictures


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_grid_shows_rows_of_images_in_the_order_of_the_columns() -> None:
    sheet = pictures.grid({"one": [png("red"), png("blue")], "two": [png("lime"), png("black")]}, ["a", "b"])
    middle = pictures.CELL // 2
    step, down = pictures.CELL + pictures.GAP, pictures.CELL + pictures.TITLE
    seen = [
        sheet.getpixel((pictures.GAP + middle + column * step, pictures.TITLE + middle + row * down))
        for row in (0, 1)
        for column in (0, 1)
    ]
    assert seen == [(255, 0, 0), (0, 0, 255), (0, 255, 0), (0, 0, 0)]


def test_the_plot_takes_missing_values(tmp_path: Path) -> None:
    values: dict[str, list[float | None]] = {"step": [0, 1], **{name: [1.0, None] for name in pictures.PANELS}}
    pictures.plot({"cfg": values}, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as image:
        assert image.width > 600
