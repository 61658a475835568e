"""Random augmentation of what a loss reads. Shen et al. 2024, arXiv:2403.12404, section 4.1; Zhao et al. 2020.

A loss of one clean picture has gradients that fool it alone; the mean over random changes of the picture has not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance.asked import Asked

if TYPE_CHECKING:
    from torch import Generator, Tensor

Change = Literal["colour", "translation", "resize", "cutout"]

SHIFT = 1 / 8
"""Largest translation, as a share of the side (Zhao et al. 2020, arXiv:2006.10738)."""
HOLE = 1 / 2
"""Side of the hole, as a share of the side (the same)."""
SCALES = (0.75, 1.25)
"""Range of the random enlargement; ours, since the paper names none."""


class Augmentation(Asked):
    """The mean over random changes of the denoised estimate stands for the loss of the estimate itself."""

    copies: int = Field(10, ge=1, le=64, description="random changes a gradient; the paper's code takes 10 to 20")
    changes: tuple[Change, ...] = Field(
        ("colour", "translation", "resize", "cutout"), max_length=4, description="in this order; none: the loss itself"
    )

    def applied(self, image: Tensor, generator: Generator, of_pixels: bool) -> Tensor:
        """(copies, C, H, W): random changes of one picture (1, C, H, W), drawn on the host.

        Latents are not recoloured: their channels are no colours.
        """
        from torch import cat

        changes = [CHANGES[name] for name in self.changes if of_pixels or name != "colour"]
        copies = []
        for _ in range(self.copies):
            copy = image
            for change in changes:
                copy = change(copy, generator)
            copies.append(copy)
        return cat(copies)


def _uniform(generator: Generator, count: int) -> list[float]:
    from torch import rand

    numbers: list[float] = rand(count, generator=generator).tolist()
    return numbers


def recoloured(image: Tensor, generator: Generator) -> Tensor:
    """Brightness by up to a quarter of the range, saturation by 0 to 2, contrast by 1/2 to 3/2; pixels in [-1, 1]."""
    bright, saturation, contrast = _uniform(generator, 3)
    image = image + (bright - 0.5)
    grey = image.mean(1, keepdim=True)
    image = grey + (image - grey) * (2 * saturation)
    mean = image.mean((1, 2, 3), keepdim=True)
    return mean + (image - mean) * (contrast + 0.5)


def translated(image: Tensor, generator: Generator) -> Tensor:
    """Moved by up to an eighth of each side; what is uncovered is 0, the middle of the range."""
    from torch.nn.functional import pad

    height, width = image.shape[2:]
    down, right = (round((2 * u - 1) * SHIFT * n) for u, n in zip(_uniform(generator, 2), (height, width), strict=True))
    moved = pad(image, (right, -right, down, -down))  # a negative margin crops
    return moved


def resized(image: Tensor, generator: Generator) -> Tensor:
    """Enlarged or shrunk about its middle; the size stays, cropped or framed by 0."""
    from torch import tensor
    from torch.nn.functional import affine_grid, grid_sample

    low, high = SCALES
    scale = low + (high - low) * _uniform(generator, 1)[0]
    theta = tensor([[[1 / scale, 0, 0], [0, 1 / scale, 0]]], dtype=image.dtype, device=image.device)
    return grid_sample(image, affine_grid(theta, list(image.shape), align_corners=False), align_corners=False)


def holed(image: Tensor, generator: Generator) -> Tensor:
    """A rectangle of half the sides set to 0, anywhere, cut at the edges."""
    height, width = image.shape[2:]
    mask = image.new_ones((1, 1, height, width))
    middle = [round(u * n) for u, n in zip(_uniform(generator, 2), (height, width), strict=True)]
    rows, columns = (
        slice(max(0, at - round(n * HOLE / 2)), at + round(n * HOLE / 2))
        for at, n in zip(middle, (height, width), strict=True)
    )
    mask[:, :, rows, columns] = 0
    return image * mask


CHANGES: dict[Change, Callable[[Tensor, Generator], Tensor]] = {
    "colour": recoloured,
    "translation": translated,
    "resize": resized,
    "cutout": holed,
}
