"""S-CFG against its formulas. Shen et al. 2024, arXiv:2404.05384."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from guidance.attention import Capture, Captured
from guidance.combiners import CFG, SCFG
from guidance.combiners.segmentation import (
    KERNEL,
    Segments,
    completed,
    segments,
    smoothed,
    token_maps,
    weight_map,
)
from tests.guidance.steps import a_step, guided, noise
from tests.guidance.strategies import LAW

DTYPE = torch.float64


def whole(height: int, width: int) -> Segments:
    """One region, which is the foreground too."""
    return Segments(torch.ones(1, height, width, dtype=DTYPE), torch.ones(height, width, dtype=DTYPE))


def halves(size: int) -> Segments:
    """Left and right, with everything as foreground."""
    left = torch.zeros(size, size, dtype=DTYPE)
    left[:, : size // 2] = 1
    return Segments(torch.stack([left, 1 - left]), torch.ones(size, size, dtype=DTYPE))


def two_lengths(size: int) -> Tensor:
    """A difference (1, 1, size, size) of length 1 on the left and 2 on the right."""
    lengths = torch.ones(1, 1, size, size, dtype=DTYPE)
    lengths[..., size // 2 :] = 2
    return lengths


def test_kernel_is_the_codes_gaussian_which_is_wider_than_it_says() -> None:
    taps = torch.tensor([((x - 1) / (2 * 0.5)) ** 2 for x in range(3)], dtype=DTYPE).neg().exp()
    torch.testing.assert_close(torch.tensor(KERNEL, dtype=DTYPE), taps / taps.sum(), rtol=0, atol=1e-7)


def test_a_constant_map_survives_smoothing() -> None:
    torch.testing.assert_close(smoothed(torch.full((2, 5, 6), 3.0)), torch.full((2, 5, 6), 3.0))


@LAW
@given(seed=st.integers(0, 99), weight=st.floats(1.1, 15))
def test_one_region_that_is_the_foreground_is_cfg(seed: int, weight: float) -> None:
    factor = weight_map(whole(4, 6), noise(seed, (1, 4, 4, 6)), 0.8, 3.0, 15 / weight)
    torch.testing.assert_close(factor, torch.ones_like(factor), rtol=0, atol=1e-6)


@LAW
@given(seed=st.integers(0, 99), k=st.floats(1e-3, 1e3))
def test_the_map_does_not_depend_on_the_scale_of_the_difference(seed: int, k: float) -> None:
    difference = noise(seed, (1, 4, 8, 8))
    maps = [weight_map(halves(8), d, 0.8, 3.0, 2.0) for d in (difference, k * difference)]
    torch.testing.assert_close(maps[0], maps[1], rtol=0, atol=1e-12)


@LAW
@given(seed=st.integers(0, 99), weight=st.floats(1.1, 30))
def test_the_map_stays_within_its_clamps(seed: int, weight: float) -> None:
    lengths = noise(seed, (1, 1, 8, 8)).exp()
    factor = weight_map(halves(8), lengths, 0.8, 3.0, 15 / weight)
    assert min(0.8, 15 / weight) - 1e-6 <= float(factor.min()) <= float(factor.max()) <= min(3, 15 / weight) + 1e-6


def test_two_halves_of_length_1_and_2() -> None:
    """f = 1.5: the rates are 1.5 and, clamped from 0.75, 0.8; away from the seam they stand."""
    factor = weight_map(halves(8), two_lengths(8), 0.8, 3.0, 15.0)[0, 0]
    torch.testing.assert_close(factor[:, :3], torch.full((8, 3), 1.5, dtype=DTYPE), rtol=0, atol=1e-6)
    torch.testing.assert_close(factor[:, 5:], torch.full((8, 3), 0.8, dtype=DTYPE), rtol=0, atol=1e-6)


def test_completion_is_the_codes_and_not_the_papers() -> None:
    """(A + 3 A^2) / 4: the published code multiplies by the same A four times without updating it."""
    a, c = noise(1, (6, 6)).softmax(-1), noise(2, (6, 3))
    torch.testing.assert_close(completed(a, c), (a @ c + a @ a @ c * 3) / 4)


def layer(attended: Tensor, ratio: int) -> Captured:
    """A layer whose tokens look at themselves alone, and at words as `attended` (words, h, w) says."""
    cross = attended.flatten(1).T
    return Captured(f"mid.{ratio}", torch.eye(len(cross), dtype=DTYPE), cross)


def test_regions_are_where_a_word_is_attended_to_most() -> None:
    words = torch.full((3, 4, 4), 0.1, dtype=DTYPE)
    words[1, :, :2], words[2, :, 2:] = 0.9, 0.9
    found = segments([layer(words, 2)], [layer(words, 2)], (8, 8))
    assert found.regions.shape == (3, 8, 8) and found.foreground.shape == (8, 8)
    torch.testing.assert_close(found.regions.sum(0), torch.ones(8, 8, dtype=DTYPE))
    assert bool((found.regions[1, :, :4] == 1).all()) and bool((found.regions[2, :, 4:] == 1).all())


def test_layers_of_different_ratios_meet_at_the_finest() -> None:
    tokens, sides = token_maps([layer(noise(1, (5, 4, 4)).exp(), 2), layer(noise(2, (5, 2, 2)).exp(), 4)], (8, 8))
    assert tokens.shape == (5, 4, 4) and sides.shape == (2, 4, 4)
    torch.testing.assert_close(tokens.mean((1, 2)), torch.ones(5, dtype=DTYPE), rtol=0, atol=1e-6)


@pytest.mark.parametrize("weight", [-2.0, 0.0, 1.0])
def test_below_and_at_1_no_map_is_drawn(weight: float) -> None:
    step = a_step(weight)
    assert SCFG().prepare(step) is step
    assert torch.equal(guided(SCFG(), step, noise(1), noise(2)), guided(CFG(), step, noise(1), noise(2)))


def test_both_branches_are_watched() -> None:
    step = SCFG(finest=2).prepare(a_step(3.0))
    edits = [branch.attention[-1] for branch in (step.cond, step.uncond)]
    assert all(isinstance(edit, Capture) and edit.ratio == 2 for edit in edits) and edits[0] is not edits[1]


def test_the_pictures_are_the_segments_and_the_map_that_the_push_was_weighted_with() -> None:
    step = a_step(3.0)
    c, u = noise(1), noise(2)
    told = guided(SCFG(low=0.5, cap=9.0), step, c, u)
    factor = step.pictures["weight_factor"].cells
    torch.testing.assert_close(told, u + 3 * factor * (c - u), rtol=0, atol=1e-12)
    assert step.notes["weight_factor_min"] == factor.min() < factor.max() == step.notes["weight_factor_max"]
    places = step.pictures["segments"].cells
    assert places.shape == factor.shape == c.shape[2:]
    assert step.pictures["segments"].names == ("0", "1", "2", "3", "4")  # of a condition without words


def test_segments_name_the_words_that_the_step_was_told() -> None:
    step, words = a_step(3.0), ("<start>", "a", "star", "<end>", "<padding>")
    told = step.with_condition(replace(step.cond.cond, words=words))
    guided(SCFG(), told, noise(1), noise(2))
    assert step.pictures["segments"].names == words


def test_a_segments_cell_is_the_place_of_its_region() -> None:
    words = torch.full((3, 4, 4), 0.1, dtype=DTYPE)
    words[1, :, :2], words[2, :, 2:] = 0.9, 0.9
    found = segments([layer(words, 2)], [layer(words, 2)], (8, 8))
    assert found.tokens.tolist() == [[1] * 4 + [2] * 4] * 8


@pytest.mark.parametrize("weight", [-2.0, 0.0, 1.0])
def test_where_no_map_is_drawn_no_picture_is_left(weight: float) -> None:
    step = a_step(weight)
    guided(SCFG(), step, noise(1), noise(2))
    assert not step.pictures
