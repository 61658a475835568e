"""How near images are to the pictures that they began from: peak signal-to-noise ratio, in decibels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluation.statistic import Statistic, mean

PEAK = 255
ROUNDING = 1 / 12
"""Mean squared error of rounding to whole bytes. Less of it is not told from none: 59 dB are the most there is."""


def psnr(pixels: NDArray[np.uint8], begun: NDArray[np.uint8]) -> Statistic:
    """10 log10(255^2 / mean squared error) of each image (N, H, W, 3), mean over the images."""
    error = np.square(pixels.astype(np.float64) - begun).mean((1, 2, 3))
    return mean(10 * np.log10(PEAK**2 / error.clip(ROUNDING)))
