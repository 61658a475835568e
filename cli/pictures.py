"""Pictures of pictures: a labelled grid of images, and the diagnostics of several specs drawn over the steps."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

CELL, GAP, TITLE, TEXT = 160, 6, 22, 13
INK, PAPER = "#222222", "#ffffff"
PANELS = {
    "weight": "weight w",
    "difference_norm": "|cond - uncond|",
    "guided_to_cond": "|guided| / |cond|",
    "denoised_std": "std of the denoised estimate",
}


def grid(rows: Mapping[str, Sequence[bytes]], columns: Sequence[str]) -> Image.Image:
    """One row per caption, one column per spec; pixels are repeated, never smoothed."""
    font = ImageFont.load_default(TEXT)
    width = GAP + len(columns) * (CELL + GAP)
    height = TITLE + len(rows) * (CELL + TITLE) + GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(columns):
        draw.text((GAP + column * (CELL + GAP) + CELL // 2, TITLE // 2), title, INK, font, anchor="mm")
    for row, (caption, images) in enumerate(rows.items()):
        top = TITLE + row * (CELL + TITLE)
        for column, data in enumerate(images):
            image = Image.open(io.BytesIO(data)).convert("RGB").resize((CELL, CELL), Image.Resampling.NEAREST)
            sheet.paste(image, (GAP + column * (CELL + GAP), top))
        draw.text((GAP, top + CELL + TITLE // 2), caption, INK, font, anchor="lm")
    return sheet


def sheet(images: Mapping[str, bytes], columns: int) -> Image.Image:
    """Every image with its name below it, row by row."""
    font = ImageFont.load_default(TEXT - 2)
    rows = -(-len(images) // columns)
    page = Image.new("RGB", (GAP + columns * (CELL + GAP), rows * (CELL + TITLE) + GAP), PAPER)
    draw = ImageDraw.Draw(page)
    for place, (name, data) in enumerate(images.items()):
        left, top = GAP + place % columns * (CELL + GAP), GAP + place // columns * (CELL + TITLE)
        picture = Image.open(io.BytesIO(data)).convert("RGB").resize((CELL, CELL), Image.Resampling.NEAREST)
        page.paste(picture, (left, top))
        draw.text((left + CELL // 2, top + CELL + TITLE // 2 - 2), name, INK, font, anchor="mm")
    return page


def plot(columns: Mapping[str, Mapping[str, Sequence[Any]]], path: Path) -> None:
    """Per-step diagnostics, one line per spec, one panel per quantity, over the noise level."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, title) in zip(figure.subplots(2, 2, sharex=True).flat, PANELS.items(), strict=True):
        for label, values in columns.items():
            axes.plot(
                values["step"], [float("nan") if v is None else v for v in values[name]], label=label, linewidth=1.4
            )
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.3)
    figure.supxlabel("step", fontsize=10)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right upper", fontsize=9)
    figure.savefig(path, dpi=110)
