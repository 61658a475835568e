"""What a camera does to a picture: linear operators on (N, C, H, W), of which a reference may be seen through one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

REACH = 3
"""Standard deviations that a blur's kernel reaches."""


def shrunk(image: Tensor, factor: int) -> Tensor:
    """The mean of every `factor` x `factor` block."""
    from torch.nn.functional import avg_pool2d

    return avg_pool2d(image, factor)


def blurred(image: Tensor, sigma: float) -> Tensor:
    """Under a Gaussian of `sigma` pixels, edges reflected. One axis after the other: it is separable."""
    from torch import arange, exp
    from torch.nn.functional import pad

    for axis in (2, 3):
        radius = min(math.ceil(REACH * sigma), image.shape[axis] - 1)
        taps = exp(-0.5 * (arange(-radius, radius + 1, device=image.device, dtype=image.dtype) / sigma) ** 2)
        margin = (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0)
        image = pad(image, margin, mode="reflect").unfold(axis, 2 * radius + 1, 1) @ (taps / taps.sum())
    return image
