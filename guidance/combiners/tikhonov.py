"""Characteristic Guidance's projection: on to CFG's direction or parts of it, with Tikhonov regularisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

FLOOR = 1e-4
"""The authors' guard of both divisions."""


class Projection:
    """B (B^T B + reg)^-1 B^T v. The columns of B are `direction` (B, C, H, W), or its parts, at unit length.

    parts = 0: one column, the direction. n: in each channel n columns, the direction's values between two of their
    own n-quantiles. Parts do not overlap, so B^T B is diagonal.
    """

    def __init__(self, direction: Tensor, parts: int) -> None:
        self.dims = (2, 3) if parts else (1, 2, 3)
        columns = _split(direction, parts) if parts > 1 else [direction]
        self.columns = [column / self._dot(column, column).sqrt().clamp_min(FLOOR) for column in columns]

    def __call__(self, v: Tensor, regularisation: Tensor) -> Tensor:
        """v (B, C, H, W), regularisation (B,)."""
        regularisation = regularisation[:, None, None, None]
        projected = v.new_zeros(v.shape)
        for column in self.columns:
            length = (self._dot(column, column) + regularisation).clamp_min(FLOOR)
            projected = projected + column * (self._dot(column, v) / length)
        return projected

    def _dot(self, a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(dim=self.dims, keepdim=True)


def _split(direction: Tensor, parts: int) -> list[Tensor]:
    shares = direction.new_tensor([k / parts for k in range(parts + 1)])
    edges = direction.flatten(2).quantile(shares, dim=2)[..., None, None]  # (parts + 1, B, C, 1, 1)
    below = [direction < edges[k] for k in range(parts)] + [direction <= edges[parts]]
    return [direction * (below[k + 1] & ~below[k]) for k in range(parts)]
