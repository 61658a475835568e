"""Sheets of the pictures that methods leave: frames over the steps, what their colours mean, and the finished image.

Runs off the engine's thread and knows no method. Pillow sets cells and text; matplotlib gives the font.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from guidance.pictures import PICTURES, Frame
from workers.colours import EDGE, FAINT, INK, PAPER, Colours, Names, Quantities, font
from workers.task import Image as Finished
from workers.task import Pixels

SIDE, GAP, MARGIN = 256, 16, 32
"""Pixels: the longest side of a frame, between frames, around the sheet."""
ACROSS, FRAMES = 5, 9
"""Frames in a row, and at most: with the finished image they fill two rows."""
TITLE, TEXT, LABEL = 28, 18, 16
LINE = 30
"""Height of a line of text."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """One picture of one image, drawn."""

    name: str
    steps: list[int]
    """Of its frames."""
    width: int
    height: int
    data: bytes
    """PNG"""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def sheets(image: Finished, subject: str) -> list[Sheet]:
    """Every picture of a finished image; `subject` is its prompt or label."""
    caption = f"seed {image.seed}, {subject}"
    return [sheet(name, frames, image.pixels, caption) for name, frames in sorted(image.pictures.items())]


def sheet(name: str, frames: Sequence[Frame], pixels: Pixels, caption: str) -> Sheet:
    """Draw frames of one picture, evenly chosen; `pixels` is the finished image, `caption` says which it is."""
    places = np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().astype(int).tolist()
    shown = [frames[place] for place in places]
    colours: Colours = Names(shown) if shown[0].names else Quantities(shown, PICTURES[name].neutral)
    tiles = [
        (f"step {one.step}", f"σ {one.sigma:.3g}".replace("inf", "∞"), _enlarged(colours.painted(one))) for one in shown
    ]
    page = _page(name, caption, colours, [*tiles, ("image", "", _enlarged(pixels))])
    file = io.BytesIO()
    page.save(file, format="png")
    return Sheet(name, [one.step for one in shown], page.width, page.height, file.getvalue())


def _enlarged(pixels: Pixels) -> Image.Image:
    """To SIDE or the nearest whole multiple: cells stay squares. What is larger is made smaller."""
    picture = Image.fromarray(pixels)
    longest = max(picture.size)
    if longest > SIDE:
        picture.thumbnail((SIDE, SIDE))
        return picture
    times = round(SIDE / longest)
    return picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)


def _page(name: str, caption: str, colours: Colours, tiles: list[tuple[str, str, Image.Image]]) -> Image.Image:
    wide, high = (max(size) for size in zip(*(picture.size for _, _, picture in tiles), strict=True))
    width = ACROSS * (wide + GAP) - GAP
    key = colours.key(width)
    top = MARGIN + 2 * LINE + GAP // 2 + key.height + GAP
    rows = -(-len(tiles) // ACROSS)
    page = Image.new("RGB", (width + 2 * MARGIN, top + rows * (LINE + high + GAP) - GAP + MARGIN), PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, MARGIN), PICTURES[name].title, INK, font(TITLE, bold=True), anchor="lt")
    draw.text((MARGIN, MARGIN + LINE + LINE // 2), PICTURES[name].text, FAINT, font(TEXT), anchor="lm")
    draw.text((MARGIN + width, MARGIN + LINE // 2), _cut(caption, width // 2), FAINT, font(TEXT), anchor="rm")
    page.paste(key, (MARGIN, MARGIN + 2 * LINE + GAP // 2))
    for place, (left, right, picture) in enumerate(tiles):
        x, y = MARGIN + place % ACROSS * (wide + GAP), top + place // ACROSS * (LINE + high + GAP)
        draw.text((x, y + LINE // 2), left, INK, font(LABEL), anchor="lm")
        draw.text((x + picture.width, y + LINE // 2), right, FAINT, font(LABEL), anchor="rm")
        page.paste(picture, (x, y + LINE))
        draw.rectangle((x - 1, y + LINE - 1, x + picture.width, y + LINE + picture.height), outline=EDGE)
    return page


def _cut(text: str, width: int) -> str:
    """As much of the text's beginning as fits, on one line."""
    line = " ".join(text.split())
    longest = min(len(line), width // 4)  # a letter takes more than four pixels
    cuts = ([line] if longest == len(line) else []) + [line[:count] + "…" for count in range(longest, -1, -1)]
    return next(cut for cut in cuts if font(TEXT).getlength(cut) <= width)
