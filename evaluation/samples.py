"""Images of a point as arrays, and their way to and from a shelf."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.shelf import Arrays

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Samples:
    """N images in the order of their questions. What was not sampled has no costs: NaN."""

    pixels: NDArray[np.uint8]
    """(N, H, W, 3)."""
    evaluations: Floats
    """Of the network, for each image (N,)."""
    seconds: Floats
    """Its share of the forwards it took part in."""
    out_of_range: Floats
    """Share of the decoded values outside of 0 to 1."""
    latent_std: Floats
    """Standard deviation of the final sample."""
    lost: NDArray[np.bool_]
    """Became NaN or infinite; their pictures are grey."""

    @classmethod
    def of_pixels(cls, pixels: NDArray[np.uint8]) -> Self:
        """Pictures that no sampling made."""
        none = np.full(len(pixels), np.nan)
        return cls(pixels, none, none, none, none, np.zeros(len(pixels), bool))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in NAMES))

    @classmethod
    def unpacked(cls, arrays: Arrays) -> Self:
        return cls(**{name: arrays[name] for name in NAMES})

    def packed(self) -> Arrays:
        return {name: getattr(self, name) for name in NAMES}

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: slice) -> Samples:
        return Samples(*(getattr(self, name)[rows] for name in NAMES))


def pictures(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """Bytes (N, H, W, 3) as (N, 3, H, W) in [0, 1]."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


NAMES = tuple(field.name for field in fields(Samples))
