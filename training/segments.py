"""From pictures to blobs: which pixels belong to things, and which of them hang together."""

import torch
from torch import Tensor
from torch.nn import functional as F

CHROMA = 0.22  # max - min of a pixel's channels: backgrounds stay below 0.12, colours reach 0.45 and more
SMALLEST = 40  # px; the smallest thing drawn has about 180


def coloured(pictures: Tensor) -> Tensor:
    """Pixels that are too colourful for a background, (N, H, W) bool, of pictures (N, 3, H, W) in [0, 1]."""
    return pictures.amax(1) - pictures.amin(1) > CHROMA


def labels(masks: Tensor) -> Tensor:
    """Connected components (8 neighbours) of masks (N, H, W): 0 outside, else the largest pixel number in the blob.

    Pixel numbers spread as a maximum over 3x3 windows, inside the mask, until nothing changes.
    """
    height, width = masks.shape[1:]
    numbers = torch.arange(1, height * width + 1, dtype=torch.float32).view(1, height, width) * masks
    while True:
        spread = F.max_pool2d(numbers, 3, stride=1, padding=1) * masks
        if torch.equal(spread, numbers):
            return numbers.long()
        numbers = spread


def blobs(picture: Tensor) -> list[Tensor]:
    """Masks (H, W) of the coloured blobs of one picture (3, H, W), the largest first, specks left out."""
    label = labels(coloured(picture[None]))[0]
    sizes = torch.bincount(label[label > 0], minlength=1)
    order = sizes.argsort(descending=True)[: int((sizes >= SMALLEST).sum())]
    return [label == name for name in order.tolist()]
