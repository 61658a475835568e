"""Pictures of many pictures."""

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn import functional as F


def grid(pictures: Tensor, columns: int, zoom: int = 2, gap: int = 2) -> Image.Image:
    """Pictures (N, 3, H, W) in [0, 1], row by row, on white, enlarged by whole pixels."""
    padded = F.pad(pictures.clamp(0, 1), (gap, gap, gap, gap), value=1.0)
    blank = -len(padded) % columns
    padded = F.pad(padded, (0, 0, 0, 0, 0, 0, 0, blank), value=1.0)
    count, _, height, width = padded.shape
    rows = padded.view(count // columns, columns, 3, height, width).permute(0, 3, 1, 4, 2)
    pixels = (rows.reshape(-1, columns * width, 3) * 255).round().byte().numpy()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST)


def save_grid(pictures: Tensor, columns: int, path: Path, zoom: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    grid(pictures, columns, zoom).save(path, optimize=True)
