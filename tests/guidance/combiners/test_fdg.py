"""FDG against the authors' algorithm, written out once more. Sadat et al. 2025, arXiv:2506.19713, algorithm 2."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from guidance.combiners import FDG
from tests.guidance.steps import a_step, guided, noise

Picture = NDArray[np.float64]


def blurred(picture: Picture) -> Picture:
    taps = np.array([1, 4, 6, 4, 1]) / 16
    padded = np.pad(picture, [(0, 0), (2, 2), (2, 2)], mode="reflect")
    height, width = picture.shape[1:]
    windows = [padded[:, i : i + height, j : j + width] * taps[i] * taps[j] for i in range(5) for j in range(5)]
    total: Picture = np.sum(windows, axis=0)
    return total


def halved(picture: Picture) -> Picture:
    """Bilinear at half the size: the mean of two by two pixels of the blurred picture."""
    soft = blurred(picture)
    return (soft[:, ::2, ::2] + soft[:, 1::2, ::2] + soft[:, ::2, 1::2] + soft[:, 1::2, 1::2]) / 4


def doubled(picture: Picture) -> Picture:
    """Bilinear at twice the size, three quarters of the nearest pixel and a quarter of the next; then blurred."""
    for axis in (1, 2):
        at_ends = [(int(a == axis), int(a == axis)) for a in range(3)]
        padded = np.pad(picture, at_ends, mode="edge").swapaxes(0, axis)
        before, here, after = padded[:-2], padded[1:-1], padded[2:]
        pairs = np.stack([0.25 * before + 0.75 * here, 0.75 * here + 0.25 * after], axis=1)
        picture = pairs.reshape(-1, *pairs.shape[2:]).swapaxes(0, axis)
    return blurred(picture)


def decoupled(cond: Picture, uncond: Picture, scales: list[float]) -> Picture:
    """Every band of both pyramids guided by its own scale, then put together."""
    bands = []
    for scale in scales[:-1]:
        small = halved(cond), halved(uncond)
        c, u = cond - doubled(small[0]), uncond - doubled(small[1])
        bands.append(c + (scale - 1) * (c - u))
        cond, uncond = small
    picture = cond + (scales[-1] - 1) * (cond - uncond)
    for band in reversed(bands):
        picture = doubled(picture) + band
    return picture


@pytest.mark.parametrize("size", [(16, 16), (24, 8), (64, 96)])
@pytest.mark.parametrize("factors", [(2.25, 1.0), (2.0, 0.5, 1.0)])
def test_is_the_authors_algorithm(size: tuple[int, int], factors: tuple[float, ...]) -> None:
    """To 1e-12 on even sides, where theirs is defined. diffusers' guider is the same through kornia (1e-14, seen once:
    kornia is no dependency), but returns 96 x 96 as 128 x 128, kornia's padding left in place."""
    cond, uncond, weight = noise(3, (1, 2, *size)), noise(4, (1, 2, *size)), 5.0
    value = guided(FDG(factors=factors), a_step(weight, x=cond), cond, uncond)
    scales = [1 + factor * (weight - 1) for factor in factors]
    expected = torch.from_numpy(decoupled(cond[0].numpy(), uncond[0].numpy(), scales))
    torch.testing.assert_close(value[0], expected, rtol=1e-12, atol=1e-12)


def test_a_flat_push_is_all_low_frequencies_and_a_checkerboard_none() -> None:
    board = (torch.arange(16)[:, None] + torch.arange(16)).remainder(2).mul(2).sub(1).double()[None, None]
    flat = torch.ones_like(board)

    def pushed(difference: Tensor, **fields: Any) -> Tensor:
        return guided(FDG(**fields), a_step(2.0, x=difference), difference, torch.zeros_like(difference))

    torch.testing.assert_close(pushed(flat, factors=(5.0, 1.0)), 2 * flat)
    torch.testing.assert_close(pushed(board, factors=(5.0, 1.0)), 6 * board)
