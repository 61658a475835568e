"""A contact sheet: many small pictures in rows and columns, with what tells them apart in words."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from jobs.encoding import encode
from service.lettering import Font, font, wrapped

INK, FAINT, PAPER, EMPTY = "#1f2937", "#6b7280", "#ffffff", "#e5e7eb"
MARGIN, GAP, LEADING = 16, 10, 1.3
TITLE_SIZE, TEXT_SIZE, NOTE_SIZE = 18, 14, 12
SMALLEST, LARGEST, ROOM = 160, 512, (4096, 8192)
"""Pixels: sides of a tile, and of all tiles together."""
NARROWEST = 480
SHAPE = 1.5
"""Width to height that a sheet without rows of its own tries to have."""
MOST_LINES = 6


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture, as the bytes of a file; or a note that says why there is none. `caption` stands below it."""

    picture: bytes | None
    note: str = ""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """`tiles` row by row. Without `columns` there are as many as give a sheet a good shape."""

    title: str
    subtitle: str
    tiles: Sequence[Tile]
    size: tuple[int, int]
    """Width and height of the pictures, pixels."""
    rows: Sequence[str] = ()
    """Headers at the left."""
    columns: Sequence[str] = ()
    """Headers at the top."""


def draw(sheet: Sheet, format: str) -> bytes:
    """The sheet as the bytes of a file; `format` is png, webp or jpeg."""
    return encode(np.asarray(composed(sheet)), format)


def composed(sheet: Sheet) -> Image.Image:
    """The sheet as an image. No text is wider than its place, nothing lies on anything else."""
    return _Drawing(sheet).image()


def enlarged(size: tuple[int, int]) -> tuple[int, int]:
    """Small pictures are shown larger, by whole numbers."""
    times = max(1, math.ceil(SMALLEST / size[0]))
    return times * size[0], times * size[1]


def across(count: int, size: tuple[int, int]) -> int:
    """How many columns bring `count` tiles closest to the shape wanted, with few places left over."""
    width, height = enlarged(size)

    def cost(columns: int) -> float:
        rows = math.ceil(count / columns)
        shape = columns * width / (rows * (height + 2 * TEXT_SIZE))
        return abs(math.log(shape / SHAPE)) + 1.5 * (rows * columns - count) / count

    return min(range(1, count + 1), key=cost)


@dataclass
class _Drawing:
    """One sheet on its way to be one image; sizes and places are pixels."""

    sheet: Sheet
    text: Font = field(default_factory=lambda: font(TEXT_SIZE))
    note: Font = field(default_factory=lambda: font(NOTE_SIZE))
    title: Font = field(default_factory=lambda: font(TITLE_SIZE, bold=True))

    def __post_init__(self) -> None:
        sheet = self.sheet
        self.across = len(sheet.columns) or across(len(sheet.tiles), sheet.size)
        self.down = math.ceil(len(sheet.tiles) / self.across)
        self.width, self.height = self._tile()
        self.left = MARGIN + self._header_width()
        self.right = max(NARROWEST, self.left + self.across * (self.width + GAP) - GAP + MARGIN)
        room = self.right - 2 * MARGIN
        self.titles = wrapped(sheet.title, self.title, room, 3)
        self.subtitles = wrapped(sheet.subtitle, self.text, room, 3)
        self.columns = [wrapped(name, self.text, self.width, MOST_LINES) for name in sheet.columns]
        self.rows = [wrapped(name, self.text, self.left - MARGIN - GAP, 2 * MOST_LINES) for name in sheet.rows]
        self.captions = [wrapped(tile.caption, self.text, self.width, MOST_LINES) for tile in sheet.tiles]

    def _tile(self) -> tuple[int, int]:
        width, height = enlarged(self.sheet.size)
        most = min(LARGEST, ROOM[0] // self.across, ROOM[1] // self.down)
        scale = min(1.0, most / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))

    def _header_width(self) -> int:
        if not self.sheet.rows:
            return 0
        widest = max(self.text.getlength(name) for name in self.sheet.rows)
        return round(min(widest, 220)) + GAP + 2

    def image(self) -> Image.Image:
        heights = [self._row_height(row) for row in range(self.down)]
        top = self._top()
        page = Image.new("RGB", (self.right, top + sum(heights) - GAP + MARGIN), PAPER)
        pen = ImageDraw.Draw(page)
        below = self._lines(pen, MARGIN, MARGIN, self.titles, self.title, INK)
        self._lines(pen, MARGIN, below + 2, self.subtitles, self.text, FAINT)
        deepest = max(map(len, self.columns), default=0)
        for column, lines in enumerate(self.columns):
            raised = top - 4 - _depth(self.text) * deepest + _depth(self.text) * (deepest - len(lines))
            self._lines(pen, self._x(column), raised, lines, self.text, INK)
        for row, height in enumerate(heights):
            if self.rows:
                self._lines(pen, MARGIN, top, self.rows[row], self.text, INK)
            for place in range(row * self.across, min((row + 1) * self.across, len(self.sheet.tiles))):
                self._place(page, pen, place, top)
            top += height
        return page

    def _top(self) -> int:
        """Where the first tile begins."""
        titles = _depth(self.title) * len(self.titles) + 2 + _depth(self.text) * len(self.subtitles)
        headers = _depth(self.text) * max(map(len, self.columns), default=0)
        return MARGIN + titles + GAP + (headers + 4 if headers else 0)

    def _row_height(self, row: int) -> int:
        captions = self.captions[row * self.across : (row + 1) * self.across]
        below = _depth(self.text) * max(map(len, captions)) + 4 if any(captions) else 0
        beside = _depth(self.text) * len(self.rows[row]) if self.rows else 0
        return max(self.height + below, beside) + GAP

    def _x(self, column: int) -> int:
        return self.left + column * (self.width + GAP)

    def _place(self, page: Image.Image, pen: ImageDraw.ImageDraw, place: int, top: int) -> None:
        tile, left = self.sheet.tiles[place], self._x(place % self.across)
        if tile.picture is None:
            pen.rectangle((left, top, left + self.width - 1, top + self.height - 1), EMPTY)
            fits = max(1, (self.height - GAP) // _depth(self.note))
            lines = wrapped(tile.note, self.note, self.width - GAP, fits)
            begin = top + (self.height - _depth(self.note) * len(lines)) // 2
            self._lines(pen, left + GAP // 2, begin, lines, self.note, FAINT)
        else:
            page.paste(self._scaled(tile.picture), (left, top))
        self._lines(pen, left, top + self.height + 4, self.captions[place], self.text, INK)

    def _scaled(self, data: bytes) -> Image.Image:
        with Image.open(io.BytesIO(data)) as file:
            picture = file.convert("RGB")
        smaller = self.width < picture.width
        smoothing = Image.Resampling.LANCZOS if smaller else Image.Resampling.NEAREST
        return picture.resize((self.width, self.height), smoothing)

    def _lines(
        self, pen: ImageDraw.ImageDraw, left: int, top: int, lines: Sequence[str], face: Font, colour: str
    ) -> int:
        """Write them below each other; where the next one would begin."""
        for line in lines:
            pen.text((left, top), line, colour, face)
            top += _depth(face)
        return top


def _depth(face: Font) -> int:
    """From one line to the next."""
    return round(face.size * LEADING)
