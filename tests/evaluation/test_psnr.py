"""Signal to noise of pictures whose error is known."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.psnr import psnr


def values(*levels: int) -> np.ndarray:
    """Even pictures of these levels."""
    return np.stack([np.full((4, 4, 3), level, np.uint8) for level in levels])


def test_an_error_of_all_there_is_is_0_and_a_tenth_of_it_20_decibels() -> None:
    assert psnr(values(255), values(0))(np.ones(1)) == 0
    assert psnr(values(0), values(255))(np.ones(1)) == 0, "bytes do not wrap around"
    assert psnr(values(100), values(100 + 51))(np.ones(1)) == pytest.approx(20 * np.log10(5))


def test_it_is_the_mean_over_images() -> None:
    each = psnr(values(255, 51), values(0, 0))
    assert each(np.ones(2)) == pytest.approx((0 + 20 * np.log10(5)) / 2)
    assert each(np.array([0.0, 2.0])) == pytest.approx(20 * np.log10(5))


def test_equal_pictures_are_as_near_as_rounding_tells() -> None:
    assert psnr(values(7), values(7))(np.ones(1)) == pytest.approx(58.9, abs=0.05)
