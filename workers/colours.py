"""Colours for the cells of a picture, and the key that says what they mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

import matplotlib
import numpy as np
from matplotlib.colors import TABLEAU_COLORS, to_hex, to_rgb
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw
from PIL.ImageFont import FreeTypeFont, Layout, truetype

from guidance.pictures import END, PADDING, START, Frame
from workers.task import Pixels

PAPER, INK, FAINT, EDGE = "#ffffff", "#1f2937", "#6b7280", "#d1d5db"
AROUND = {START: "#334155", END: "#94a3b8", PADDING: "#e2e8f0"}
"""Colours of tokens that are no words."""
TWENTY = [to_hex(colour) for colour in matplotlib.colormaps["tab20"].colors]  # type: ignore[attr-defined]
WORDS = [TWENTY[place] for place in (*range(0, 20, 2), *range(1, 20, 2)) if place not in (14, 15)]
"""Colours of names: the strong ones first, and no greys."""
OWN = {name.removeprefix("tab:"): to_hex(colour) for name, colour in TABLEAU_COLORS.items() if to_hex(colour) in WORDS}
"""Those that words name themselves."""
RARE = "#c7b9a0"
"""Of names that are left without one."""
PARTED, RISING = "RdBu_r", "viridis"
"""Colour maps of quantities: with a value that changes nothing, which is white, and without."""
SIZE, CHIP, PAD, SPACE = 18, 34, 11, 7
"""Pixels: text of the key, height of a name's chip, space within it and beside it."""
LONG, BAR, TICK, LINE = 640, 20, 6, 20
"""Pixels: length and height of the colour bar, heights of its ticks and of their numbers."""

Identity = tuple[int, str]
"""Place in the list and name: a word that comes twice is two. Of those around a text every place is one."""


class Colours(Protocol):
    """How the cells of a picture are coloured."""

    def painted(self, frame: Frame) -> Pixels:
        """(H, W, 3)"""
        ...

    def key(self, width: int) -> Image.Image:
        """What the colours mean."""
        ...


class Names:
    """A colour a name."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.lists = list(dict.fromkeys(frame.names for frame in frames))
        cells: Counter[Identity] = Counter()
        for frame in frames:
            for place, count in zip(*np.unique(frame.cells.astype(int), return_counts=True), strict=True):
                cells[_identity(int(place), frame.names)] += int(count)
        common = [identity for identity, _ in cells.most_common() if identity[1] not in AROUND][: len(WORDS)]
        # A word that names one of the colours has it: "red" in blue would be read wrongly.
        own = {OWN[name]: (place, name) for place, name in sorted(common, reverse=True) if name in OWN}
        rest = [identity for identity in sorted(common) if identity not in own.values()]
        free = [colour for colour in WORDS if colour not in own]
        self._colours = dict(zip([*own.values(), *rest], [*own, *free], strict=False))
        self._seen = set(cells)

    def colour(self, identity: Identity) -> str:
        """Rare names, beyond the colours there are, share one."""
        return AROUND.get(identity[1]) or self._colours.get(identity, RARE)

    def painted(self, frame: Frame) -> Pixels:
        table = [to_rgb(self.colour(_identity(place, frame.names))) for place in range(len(frame.names))]
        return _bytes(np.array(table)[frame.cells.astype(int)])

    def key(self, width: int) -> Image.Image:
        """The list in its order, each name in its colour; pale where it has no cell. Every list, where it changed."""
        chips = list(self._chips(width))
        key = Image.new("RGB", (width, chips[-1][1] + CHIP), PAPER)
        draw = ImageDraw.Draw(key)
        for x, y, identity in chips:
            box, middle = (x, y, x + _chip(identity[1]), y + CHIP - 1), (x + _chip(identity[1]) // 2, y + CHIP // 2)
            if identity in self._seen:
                colour = self.colour(identity)
                draw.rounded_rectangle(box, 6, fill=colour)
                draw.text(middle, identity[1], INK if _light(colour) else PAPER, font(SIZE), anchor="mm")
            else:
                draw.rounded_rectangle(box, 6, outline=EDGE, width=1)
                draw.text(middle, identity[1], FAINT, font(SIZE), anchor="mm")
        return key

    def _chips(self, width: int) -> Iterator[tuple[int, int, Identity]]:
        """Left, top and name, broken into lines of `width`; each list begins one."""
        y = 0
        for names in self.lists:
            x = 0
            for identity in dict.fromkeys(_identity(place, names) for place in range(len(names))):
                if x and x + _chip(identity[1]) > width:
                    x, y = 0, y + CHIP + SPACE
                yield x, y, identity
                x += _chip(identity[1]) + SPACE
            y += CHIP + SPACE


class Quantities:
    """A heat map, the same over the frames."""

    def __init__(self, frames: Sequence[Frame], neutral: float | None) -> None:
        cells = np.concatenate([frame.cells.ravel() for frame in frames])
        cells = cells[np.isfinite(cells)] if np.isfinite(cells).any() else np.zeros(1)
        self.low, self.high = float(cells.min()), float(cells.max())
        self.neutral = neutral
        self._map = matplotlib.colormaps[RISING if neutral is None else PARTED]
        reach = 0.0 if neutral is None else max(abs(self.low - neutral), abs(self.high - neutral))
        self._from, self._to = (self.low, self.high) if neutral is None else (neutral - reach, neutral + reach)

    def _coloured(self, values: np.ndarray) -> Pixels:
        share = (values - self._from) / (self._to - self._from) if self._to > self._from else np.full_like(values, 0.5)
        return _bytes(self._map(share)[..., :3])

    def painted(self, frame: Frame) -> Pixels:
        return self._coloured(frame.cells)

    def key(self, width: int) -> Image.Image:
        """A bar from the smallest value to the largest, with ticks; of a constant its value alone."""
        key = Image.new("RGB", (width, BAR + TICK + LINE), PAPER)
        draw = ImageDraw.Draw(key)
        values = np.linspace(self.low, self.high, LONG)
        key.paste(Image.fromarray(self._coloured(values[None].repeat(BAR, 0))), (0, 0))
        for tick in self._ticks():
            x = min(LONG - 1, int(np.searchsorted(values, tick)))
            draw.line((x, BAR, x, BAR + TICK), FAINT)
            draw.text((x, BAR + TICK + 3), f"{tick:.4g}", INK, font(SIZE), anchor="mt" if x > SIZE else "lt")
        if self.neutral is not None:
            note = f"{self.neutral:g} (white) changes nothing"
            draw.text((LONG + PAD, BAR // 2), note, FAINT, font(SIZE), anchor="lm")
        return key

    def _ticks(self) -> list[float]:
        if self.low == self.high:
            return [self.low]
        rounding = 1e-3 * (self.high - self.low)
        ticks = map(float, MaxNLocator(6).tick_values(self.low, self.high))
        return [tick for tick in ticks if self.low - rounding <= tick <= self.high + rounding]


def _identity(place: int, names: Sequence[str]) -> Identity:
    return (names.index(names[place]) if names[place] in AROUND else place, names[place])


def _chip(name: str) -> int:
    """Width of a name's chip."""
    return round(font(SIZE).getlength(name)) + 2 * PAD


def _light(colour: str) -> bool:
    red, green, blue = to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue > 0.55


def _bytes(colours: np.ndarray) -> Pixels:
    return (255 * colours).round().astype(np.uint8)


@cache
def font(size: int, bold: bool = False) -> FreeTypeFont:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return truetype(str(folder / name), size, layout_engine=Layout.BASIC)  # the other one fails on some texts
