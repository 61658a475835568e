"""What a model decodes, before it is clipped to bytes: an engine hands on bytes alone."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from torch import Tensor

from guidance.models.base import Model, to_bytes
from workers.task import Pixels


class Overflow:
    """A model that notes, of each picture it decodes, the share of values out of range and the sample's deviation."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._noted: dict[bytes, tuple[float, float]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def decode(self, sample: Tensor) -> Tensor:
        pixels = self._model.decode(sample)
        for latent, row in zip(sample, pixels, strict=True):
            beyond = ((row < 0) | (row > 1)).float().mean()
            self._noted[_key(to_bytes(row[None]))] = float(beyond), float(latent.std())
        return pixels

    def of(self, picture: Pixels) -> tuple[float, float]:
        """Of a picture (H, W, 3) that was decoded: the share of its values out of range, and the sample's deviation."""
        return self._noted[_key(picture)]


def _key(picture: Pixels) -> bytes:
    return sha256(picture.tobytes()).digest()
