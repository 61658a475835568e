"""Text in pictures: a font with many scripts, and lines that fit."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont


@cache
def font(size: int, bold: bool = False) -> Font:
    """matplotlib's own: Latin, Greek, Cyrillic, Arabic, mathematical signs; `size` is pixels."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def wrapped(text: str, face: Font, width: float, most: int) -> list[str]:
    """At most `most` lines, none wider than `width` pixels; broken between words where that is possible."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if face.getlength(joined) <= width:
            lines[-1] = joined
        else:
            lines += _pieces(word, face, width)
    lines = [line for line in lines if line]
    return lines if len(lines) <= most else [*lines[: most - 1], _cut(lines[most - 1], face, width)]


def _pieces(word: str, face: Font, width: float) -> list[str]:
    """A word that may be wider than a line."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and face.getlength(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _cut(line: str, face: Font, width: float) -> str:
    while line and face.getlength(f"{line}…") > width:
        line = line[:-1]
    return f"{line}…"
