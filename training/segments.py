"""From pictures to blobs: which pixels belong to things, and which of them hang together."""

import torch
from torch import Tensor

CHROMA = 0.22  # max - min of a pixel's channels: backgrounds stay below 0.12, colours reach 0.45 and more
SMALLEST = 40  # px; the smallest thing drawn has about 180


def coloured(pictures: Tensor) -> Tensor:
    """Pixels that are too colourful for a background, (N, H, W) bool, of pictures (N, 3, H, W) in [0, 1]."""
    return pictures.amax(1) - pictures.amin(1) > CHROMA


def components(mask: Tensor) -> list[Tensor]:
    """Pixels (n, 2), row and column, of each connected component (8 neighbours) of a mask (H, W), by flood fill."""
    waiting = {(row, column) for row, column in torch.nonzero(mask).tolist()}
    found = []
    while waiting:
        front = [waiting.pop()]
        pixels = list(front)
        while front:
            row, column = front.pop()
            near = {(row + dy, column + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & waiting
            waiting -= near
            front += near
            pixels += near
        found.append(torch.tensor(pixels))
    return found


def blobs(picture: Tensor) -> list[Tensor]:
    """Masks (H, W) of the coloured blobs of one picture (3, H, W), the largest first, specks left out."""
    mask = coloured(picture[None])[0]
    large = sorted((part for part in components(mask) if len(part) >= SMALLEST), key=lambda part: -len(part))
    out = torch.zeros(len(large), *mask.shape, dtype=torch.bool)
    for blob, pixels in zip(out, large, strict=True):
        blob[pixels[:, 0], pixels[:, 1]] = True
    return list(out)
