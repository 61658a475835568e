"""Segments of an image from a network's attention, and S-CFG's weight per segment.

Shen et al. 2024, arXiv:2404.05384, section 4, in the constants of their published code, which differ from the paper's
text in the powers of the self-attention map (A + 3 A^2 instead of the mean of four powers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guidance.attention import Captured

if TYPE_CHECKING:
    from torch import Tensor

TINY = 1e-8
KERNEL = (0.2119416, 0.5761168, 0.2119416)
"""exp(-((x - 1) / (2 * 0.5))^2) over three taps, normalised: the code's Gaussian, which is wider than its 0.5 says."""


@dataclass(frozen=True, eq=False)
class Segments:
    """One image's segments: tensors (regions, H, W) and (H, W) of zeros and ones, on the latent's grid."""

    regions: Tensor
    """One per text token: where it is attended to most."""
    foreground: Tensor
    """Where the start token is not."""

    @property
    def tokens(self) -> Tensor:
        """(H, W): the place in the text of each cell's token."""
        return self.regions.argmax(0)


def smoothed(maps: Tensor) -> Tensor:
    """Maps (N, H, W) under the 3 x 3 kernel, edges reflected."""
    from torch.nn.functional import conv2d, pad

    taps = maps.new_tensor(KERNEL)
    kernel = (taps[:, None] * taps[None, :])[None, None]
    return conv2d(pad(maps[:, None], (1, 1, 1, 1), mode="reflect"), kernel)[:, 0]


def completed(self_map: Tensor, cross_map: Tensor) -> Tensor:
    """Cross-attention (n, tokens) spread along self-attention (n, n): (A + 3 A^2) / 4 C."""
    spread = (self_map + 3 * (self_map @ self_map)) / 4
    return spread @ cross_map


def token_maps(maps: Sequence[Captured], grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Mean maps over the layers at the finest one's size: (tokens, h, w) per token, (2, h, w) of start and rest.

    grid: the latent's (H, W).
    """
    from torch import stack
    from torch.nn.functional import interpolate

    finest = max(kept.self_map.shape[0] for kept in maps)
    size = shape_of(finest, grid)
    tokens, sides = [], []
    for kept in maps:
        layer = completed(kept.self_map, kept.cross_map).T.reshape(-1, *shape_of(kept.self_map.shape[0], grid))
        layer = smoothed(interpolate(layer[None], size=size, mode="bilinear", align_corners=False)[0])
        tokens.append(layer / (layer.mean((1, 2), keepdim=True) + TINY))
        two = stack([tokens[-1][0], tokens[-1][1:].sum(0)])
        sides.append(two / (two.mean((1, 2), keepdim=True) + TINY))
    return stack(tokens).mean(0), stack(sides).mean(0)


def shape_of(tokens: int, grid: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a grid of so many tokens over a latent of `grid`."""
    ratio = round((grid[0] * grid[1] / tokens) ** 0.5)
    return grid[0] // ratio, grid[1] // ratio


def segments(cond: Sequence[Captured], foreground: Sequence[Captured], grid: tuple[int, int]) -> Segments:
    """Regions from the conditional row's maps; the foreground from the row that the caller chooses.

    The first of equal tokens wins.
    """
    from torch import arange
    from torch.nn.functional import interpolate

    tokens, _ = token_maps(cond, grid)
    _, sides = token_maps(foreground, grid)
    regions = (tokens.argmax(0)[None] == arange(len(tokens), device=tokens.device)[:, None, None]).to(tokens.dtype)
    front = (sides.argmax(0) != 0).to(tokens.dtype)
    full = (interpolate(part[None], size=grid, mode="nearest")[0] for part in (regions, front[None]))
    regions, front = full
    return Segments(regions, front[0])


def weight_map(found: Segments, difference: Tensor, low: float, high: float, cap: float) -> Tensor:
    """Factor (N, 1, H, W) on the guidance weight: each region's push is brought to the foreground's.

    difference: c - u (N, C, H, W). Clamped to [low, high], then to at most `cap`, then smoothed.
    """
    length = difference.norm(dim=1, keepdim=True).to(found.regions.dtype)  # (N, 1, H, W)
    mean = (found.regions * length).sum((2, 3)) / found.regions.sum((1, 2)).clamp_min(1)  # (N, regions)
    front = (found.foreground * length).sum((1, 2, 3)) / found.foreground.sum().clamp_min(1)  # (N,)
    factor = (found.regions * (front[:, None] / mean.clamp_min(TINY))[:, :, None, None]).sum(1)
    return smoothed(factor.clamp(low, high).clamp_max(cap))[:, None].to(difference.dtype)
