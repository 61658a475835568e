"""Sheets of pictures: every cell in its colour, and a key that says what it means."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import PIL.Image
import pytest
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from guidance.pictures import END, PADDING, PICTURES, START, Frame
from workers.colours import AROUND, OWN, PAPER, RARE, WORDS, Names, Quantities
from workers.drawing import FRAMES, SIDE, Sheet, sheet, sheets
from workers.task import Image, Pixels

TEXT = (START, "a", "red", "star", "above", "a", "blue", "ring", END, PADDING, PADDING)
IMAGE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def frame(cells: Sequence[Sequence[float]], step: int = 0, names: tuple[str, ...] = ()) -> Frame:
    return Frame(step, 1.5, np.array(cells, dtype=np.float32), names)


def colours(pixels: Pixels) -> list[list[str]]:
    return [[to_hex(pixel / 255) for pixel in row] for row in pixels]


def opened(drawn: Sheet) -> NDArray[np.uint8]:
    with PIL.Image.open(io.BytesIO(drawn.data)) as image:
        assert (image.format, image.size) == ("PNG", (drawn.width, drawn.height))
        return np.asarray(image.convert("RGB"))


def shows(page: NDArray[np.uint8], tile: Pixels) -> bool:
    """Whether `tile`, enlarged cell by cell, is somewhere on the page."""
    times = SIDE // max(tile.shape[:2])
    large = tile.repeat(times, 0).repeat(times, 1)
    height, width, _ = large.shape
    corners = np.argwhere((page == large[0, 0]).all(-1))
    return any(np.array_equal(page[y : y + height, x : x + width], large) for y, x in corners)


def segments() -> list[Frame]:
    """Eight by eight places of TEXT, other ones at each of twelve steps."""
    seeded = np.random.default_rng(1)
    return [frame(seeded.integers(0, len(TEXT), (8, 8)).tolist(), step, TEXT) for step in range(12)]


def factors() -> list[Frame]:
    seeded = np.random.default_rng(2)
    return [frame((0.8 + seeded.random((8, 4))).tolist(), step) for step in range(3)]


def test_a_word_that_comes_twice_has_two_colours_and_all_padding_one() -> None:
    [row] = colours(Names([frame([range(11)], names=TEXT)]).painted(frame([range(11)], names=TEXT)))
    assert len(set(row)) == 10 and row[9] == row[10]
    assert [row[0], row[8], row[9]] == [AROUND[START], AROUND[END], AROUND[PADDING]]
    assert set(row[1:8]) <= set(WORDS)


def test_a_word_that_names_a_colour_has_it() -> None:
    """However the others are spread, and once: the second red is another part of the picture."""
    names = ("red", "green", "a", "red", "mauve", "blue")
    [row] = colours(Names([frame([range(6)], names=names)]).painted(frame([range(6)], names=names)))
    assert [row[0], row[1], row[5]] == [OWN["red"], OWN["green"], OWN["blue"]]
    assert len(set(row)) == 6


def test_with_more_names_than_colours_the_rarest_share_one() -> None:
    names = tuple(f"word{place}" for place in range(25))
    cells = [[place for place in range(25) for _ in range(1 + (place >= 25 - len(WORDS)))]]
    painted = Names([frame(cells, names=names)]).painted(frame([range(25)], names=names))
    [row] = colours(painted)
    assert row[: 25 - len(WORDS)] == [RARE] * (25 - len(WORDS))
    assert sorted(row[25 - len(WORDS) :]) == sorted(WORDS)


def test_the_key_of_names_shows_every_colour_that_the_frames_have_and_no_other() -> None:
    frames = [frame([[0, 2, 2, 6]], names=TEXT), frame([[9, 2, 3, 3]], names=TEXT)]
    named = Names(frames)
    shown = {colour for one in frames for row in colours(named.painted(one)) for colour in row}
    key = {"#{:02x}{:02x}{:02x}".format(*pixel) for pixel in _areas(named.key(1344))}
    assert key & {*WORDS, *AROUND.values(), RARE} == shown
    assert len(shown) == 5


def _areas(image: PIL.Image.Image) -> list[tuple[int, int, int]]:
    """Colours that cover more than letters' edges do."""
    counted = image.getcolors(image.width * image.height)
    assert counted is not None
    return [colour for count, colour in counted if count > 100]  # type: ignore[misc]


def test_a_text_that_changed_on_the_way_has_a_line_a_text() -> None:
    other = (*TEXT[:2], "blue", *TEXT[3:])
    first, both = (Names([frame([[2]], names=names) for names in texts]) for texts in ([TEXT], [TEXT, other]))
    assert both.key(1344).height > first.key(1344).height
    [[one], [another]] = [colours(both.painted(frame([[2]], names=names)))[0] for names in (TEXT, other)]
    assert (one, another) == (OWN["red"], OWN["blue"])


def test_a_neutral_quantity_is_white_and_equal_distances_are_equally_strong() -> None:
    """The scale is that of all frames."""
    frames = [frame([[1.0, 1.5]]), frame([[0.5, 3.0]])]
    heat = Quantities(frames, neutral=1.0)
    [[neutral, above]], [[below, most]] = (heat.painted(one).astype(int) for one in frames)
    assert neutral.min() >= 245
    assert above[0] > above[2] and below[0] < below[2] and most.min() == 0
    assert abs(above.min() - below.min()) < 30


@pytest.mark.parametrize("neutral", [None, 1.0])
@pytest.mark.parametrize("value", [0.0, 1.0, 1e-9, 1e9, -3.0])
def test_a_constant_can_be_drawn(neutral: float | None, value: float) -> None:
    heat = Quantities([frame([[value, value]])], neutral)
    assert len({tuple(pixel) for pixel in heat.painted(frame([[value, value]]))[0]}) == 1
    assert heat.key(1344).width == 1344


def test_a_heat_map_brightens_upwards() -> None:
    heat = Quantities([frame([[0.0, 2.0, 1.0]])], None)
    [dark, bright, between] = heat.painted(frame([[0.0, 2.0, 1.0]])).astype(int).sum(-1)[0]
    assert dark < between < bright


def test_a_sheet_shows_chosen_frames_cell_by_cell_and_the_image() -> None:
    frames = segments()
    drawn = sheet("segments", frames, IMAGE, "a caption")
    page = opened(drawn)
    assert (drawn.steps[0], drawn.steps[-1], len(drawn.steps)) == (0, 11, FRAMES)
    named = Names([frames[step] for step in drawn.steps])
    assert [one.step for one in frames if shows(page, named.painted(one))] == drawn.steps
    assert shows(page, IMAGE)
    assert page[0, 0].tolist() == [int(PAPER[k : k + 2], 16) for k in (1, 3, 5)]


def test_few_frames_are_all_shown_and_need_not_be_squares() -> None:
    frames = factors()
    drawn = sheet("weight_factor", frames, IMAGE, "a caption")
    heat = Quantities(frames, PICTURES["weight_factor"].neutral)
    assert drawn.steps == [0, 1, 2]
    assert all(shows(opened(drawn), heat.painted(one)) for one in frames)


def test_the_same_pictures_are_the_same_bytes() -> None:
    first, again = (sheet("segments", segments(), IMAGE, "a caption") for _ in range(2))
    assert (first.data, first.sha256) == (again.data, again.sha256)
    assert sheet("segments", segments(), IMAGE, "another").sha256 != first.sha256


def test_an_image_has_a_sheet_a_picture() -> None:
    image = Image(0, 3, IMAGE, {}, {}, {"segments": segments(), "sag_mask": [frame([[0, 1]], names=("no", "yes"))]})
    assert [(one.name, len(one.steps)) for one in sheets(image, "a red star")] == [
        ("sag_mask", 1),
        ("segments", FRAMES),
    ]


@pytest.mark.parametrize(
    "subject", ["", "x" * 4000, "\x00\n\t", "東京 🦊 مرحبا", "$\\frac{", "\u200b" * 4000, "e\u0301" * 99]
)
def test_any_prompt_can_be_drawn(subject: str) -> None:
    """Letters that the font has not are boxes; what does not fit is cut."""
    frames = [frame([[0, 1], [2, 2]], names=(START, subject[:40], subject[-1:]))]
    assert sheet("segments", frames, IMAGE, subject).width == sheet("segments", frames, IMAGE, "").width


def test_a_large_image_and_a_fine_grid_are_made_to_fit() -> None:
    frames = [frame(np.zeros((300, 200)).tolist(), names=("no", "yes"))]
    drawn = sheet("sag_mask", frames, np.zeros((600, 400, 3), dtype=np.uint8), "")
    assert drawn.height < 2 * SIDE
