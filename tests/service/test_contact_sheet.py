"""Contact sheets: every number of pictures, text that fits, nothing on top of anything else."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis.strategies import integers, text
from PIL import Image

from service.contact_sheet import LARGEST, ROOM, Sheet, Tile, composed, draw, enlarged
from service.lettering import font, wrapped
from tests.service.stand_in import picture

RED = (255, 0, 0)


def square(size: tuple[int, int] = (64, 64)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, RED).save(buffer, "png")
    return buffer.getvalue()


def reds(image: Image.Image) -> int:
    return sum(count for count, shade in image.getcolors(1 << 24) or [] if shade == RED)


@pytest.mark.parametrize("count", range(1, 33))
def test_every_tile_is_shown_whole(count: int) -> None:
    tiles = [Tile(square((16, 16)), caption=f"weight={place}, a caption of several words") for place in range(count)]
    image = composed(Sheet("a prompt", "a model", tiles, (16, 16)))
    assert reds(image) == count * 160 * 160
    assert 1 / 3 < image.width / image.height < 4


@pytest.mark.parametrize("size", [(64, 64), (128, 64), (64, 256), (1024, 1024), (2048, 512)])
@pytest.mark.parametrize("count", [1, 2, 6])
def test_pictures_of_any_size_fit(size: tuple[int, int], count: int) -> None:
    image = composed(Sheet("a prompt " * 90, "", [Tile(square(size), caption="x" * 500)] * count, size))
    shown = reds(image) / count
    width, height = enlarged(size)
    scale = min(1, LARGEST / max(width, height))
    assert shown == round(width * scale) * round(height * scale)
    assert image.width < 2 * ROOM[0] and image.height < 2 * ROOM[1]


def test_headers_stand_beside_and_above() -> None:
    tiles = [Tile(square())] * 8
    plain = composed(Sheet("a prompt", "", tiles, (64, 64), ["r"] * 4, ["c"] * 2))
    long = composed(
        Sheet("a prompt", "", tiles, (64, 64), ["a row that is called at length " * 9] * 4, ["column " * 20] * 2)
    )
    assert reds(plain) == reds(long) == 8 * 192 * 192
    assert long.width > plain.width and long.height > plain.height


def test_a_tall_sheet_stays_within_what_every_format_holds() -> None:
    tiles = [Tile(square((512, 512)))] * 32
    sheet = Sheet("a prompt", "", tiles, (512, 512), [f"row {row}" for row in range(32)], ["seed 1"])
    assert max(composed(sheet).size) < 16_383  # WebP's


def test_a_tile_without_a_picture_says_why() -> None:
    silent, speaking = (composed(Sheet("p", "", [Tile(None, note)], (64, 64))) for note in ("", "failed: not finite"))
    assert silent.size == speaking.size
    assert silent.tobytes() != speaking.tobytes()


def test_the_same_sheet_gives_the_same_bytes() -> None:
    sheet = Sheet("a prompt", "a model", [Tile(picture(seed), caption="c") for seed in range(3)], (64, 64))
    assert draw(sheet, "png") == draw(sheet, "png")


@given(words=text(max_size=200), width=integers(40, 400), most=integers(1, 8))
def test_wrapped_text_fits_and_loses_nothing_but_its_end(words: str, width: int, most: int) -> None:
    face = font(14)
    lines = wrapped(words, face, width, most)
    assert len(lines) <= most
    assert all(face.getlength(line) <= width or len(line) == 1 for line in lines)
    kept, given = "".join("".join(lines).split()), "".join(words.split())
    assert kept == given or (kept.endswith("…") and given.startswith(kept[:-1]))
