"""Frequency-decoupled guidance. Sadat et al. 2025, arXiv:2506.19713, algorithm 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from guidance.combiners.twofold import Twofold
from guidance.protocol import Step
from guidance.stage import Preset

if TYPE_CHECKING:
    from torch import Tensor

Factor = Annotated[float, Field(ge=-100, le=100)]
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
SMALLEST = 3
"""The shortest side that the blur can reflect."""


class FDG(Twofold):
    """CFG with a weight of its own for each band of frequencies: strong on detail, gentle on layout and colour.

    u + sum_k (1 + (w - 1) factor_k) L_k (c - u), L_k the levels of a Laplacian pyramid from the finest to the coarsest.
    Equal factors of 1 are CFG. A latent too small for all levels has its coarsest one earlier.
    """

    paper: ClassVar[str] = "Sadat et al. 2025, arXiv:2506.19713"
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            "fdg",
            "Weight 10 on high and 5 on low frequencies",
            {"schedule": {"type": "constant", "weight": 5.0}, "combiner": {"type": "fdg", "factors": [2.25, 1.0]}},
        ),
    )

    type: Literal["fdg"] = "fdg"
    factors: tuple[Factor, ...] = Field(
        (2.25, 1.0), min_length=1, max_length=6, description="of w - 1, from the highest frequencies to the lowest"
    )

    def combined(self, cond: Tensor, uncond: Tensor, step: Step) -> Tensor:
        levels = pyramid(cond - uncond, len(self.factors))
        factors = [*self.factors[: len(levels) - 1], self.factors[-1]]
        push = (1 + (step.weight - 1) * factors[-1]) * levels[-1]
        for factor, level in zip(factors[-2::-1], levels[-2::-1], strict=True):
            push = resized(push, level) + (1 + (step.weight - 1) * factor) * level
        return uncond + push


def pyramid(image: Tensor, count: int) -> list[Tensor]:
    """At most `count` levels of (N, C, H, W): what each halving leaves out, and the rest."""
    levels: list[Tensor] = []
    while len(levels) + 1 < count and min(image.shape[2:]) >= SMALLEST:
        small = halved(image)
        levels.append(image - resized(small, image))
        image = small
    return [*levels, image]


def halved(image: Tensor) -> Tensor:
    """Blurred and at half the size, rounded up."""
    from torch.nn.functional import interpolate

    height, width = image.shape[2:]
    size = (height + 1) // 2, (width + 1) // 2
    return interpolate(blurred(image), size=size, mode="bilinear", align_corners=False)


def resized(image: Tensor, like: Tensor) -> Tensor:
    """At the size of the finer level, then blurred as before halving: the authors' pyramid is kornia's."""
    from torch.nn.functional import interpolate

    return blurred(interpolate(image, size=like.shape[2:], mode="bilinear", align_corners=False))


def blurred(image: Tensor) -> Tensor:
    """Under a 5 x 5 binomial, edges reflected."""
    from torch.nn.functional import conv2d, pad

    taps = image.new_tensor(BINOMIAL)
    channels = image.shape[1]
    kernel = (taps[:, None] * taps).expand(channels, 1, 5, 5)
    return conv2d(pad(image, (2, 2, 2, 2), mode="reflect"), kernel, groups=channels)
