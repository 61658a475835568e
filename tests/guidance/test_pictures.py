"""Pictures of a trajectory: what is kept of them, when, and how they come to the host."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guidance.album import MOST, Album
from guidance.diagnostics import Diagnostics
from guidance.noise import CLEAN
from guidance.pictures import END, PADDING, PICTURES, START, Frame, Picture
from guidance.plan import Call
from tests.guidance.steps import LEVEL, noise
from tests.guidance.strategies import LAW


def kept(count: int) -> list[Frame]:
    """The frames of a picture left at each of `count` steps."""
    album = Album()
    for step in range(count):
        album.keep(step, 1.0, {"weight_factor": Picture(torch.full((2, 3), float(step)))})
    return album.frames()["weight_factor"]


@LAW
@given(count=st.integers(1, 1500))
def test_kept_are_the_first_the_latest_and_evenly_spaced_ones_between(count: int) -> None:
    steps = [frame.step for frame in kept(count)]
    gaps = [later - earlier for earlier, later in pairwise(steps)]
    assert (steps[0], steps[-1]) == (0, count - 1)
    assert len(set(gaps[:-1])) <= 1 and all(0 < gaps[-1] <= gap for gap in gaps[:-1])
    assert min(count, MOST // 2) <= len(steps) <= MOST + 1


def test_of_few_steps_none_is_left_out() -> None:
    assert [frame.step for frame in kept(MOST)] == list(range(MOST))


def test_a_picture_comes_to_the_host_as_it_was_left() -> None:
    """Of every dtype and shape, each beside the others."""
    album, words = Album(), (START, "a", END, PADDING)
    quantities, places = noise(1, (3, 4)), torch.tensor([[0, 1], [3, 2]])
    album.keep(2, 0.5, {"weight_factor": Picture(quantities), "segments": Picture(places, words)})
    album.keep(7, 0.1, {"weight_factor": Picture(2 * quantities.half())})
    found = album.frames()
    first, second = found["weight_factor"]
    assert ((first.step, first.sigma, first.names), (second.step, second.sigma)) == ((2, 0.5, ()), (7, 0.1))
    assert torch.equal(torch.from_numpy(first.cells.copy()), quantities.float())
    assert torch.equal(torch.from_numpy(second.cells.copy()), 2 * quantities.half().float())
    [segments] = found["segments"]
    assert (segments.cells.tolist(), segments.names) == (places.tolist(), words)


def call(step: int, within: int = 0) -> Call:
    return Call(step, within, step, 0, False, LEVEL, LEVEL, CLEAN, 3.0, 2)


@pytest.mark.parametrize(("detail", "frames"), [("off", 0), ("summary", 0), ("full", 2)])
def test_only_full_diagnostics_keep_pictures(detail: Literal["off", "summary", "full"], frames: int) -> None:
    diagnostics = Diagnostics(detail, 1.0)
    for step in range(2):
        diagnostics.keep(call(step), {"weight_factor": Picture(noise(step, (2, 2)))})
    assert len(diagnostics.pictures().get("weight_factor", [])) == frames


def test_a_step_has_one_frame_however_often_it_evaluates() -> None:
    diagnostics = Diagnostics("full", 1.0)
    for within in range(2):
        diagnostics.keep(call(0, within), {"weight_factor": Picture(torch.full((1, 1), float(within)))})
    assert [frame.cells.item() for frame in diagnostics.pictures()["weight_factor"]] == [0]


def test_without_pictures_there_is_nothing_to_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: pytest.fail("moved"))
    assert Diagnostics("full", 1.0).pictures() == {}


def test_all_pictures_are_moved_from_the_device_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    diagnostics, moved, cpu = Diagnostics("full", 1.0), list[int](), torch.Tensor.cpu

    def counted(tensor: torch.Tensor) -> torch.Tensor:
        moved.append(tensor.numel())
        return cpu(tensor)

    monkeypatch.setattr(torch.Tensor, "cpu", counted)
    for name in ("item", "tolist", "__float__"):
        monkeypatch.setattr(torch.Tensor, name, lambda tensor: pytest.fail("moved on its own"))
    for step in range(3):
        pictures = {"weight_factor": Picture(noise(step, (2, 2))), "sag_mask": Picture(noise(step, (4, 1)))}
        diagnostics.keep(call(step), pictures)
    assert not moved
    assert {name: len(frames) for name, frames in diagnostics.pictures().items()} == {"weight_factor": 3, "sag_mask": 3}
    assert moved == [24]


def test_pictures_that_methods_leave_are_those_that_have_a_meaning() -> None:
    files = (Path(__file__).parents[2] / "guidance").rglob("*.py")
    left = {name for file in files for name in re.findall(r"pictures\[\"(\w+)\"\] =", file.read_text())}
    assert left == PICTURES.keys()
