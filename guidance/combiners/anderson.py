"""Anderson acceleration of a fixed-point iteration. Anderson 1965, doi:10.1145/321296.321305."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Anderson:
    """Finds r(x) = 0 from iterates x and residuals r (B, n), each row for itself.

    With the last `memory` differences dX, dR: x - dX a - step (r - dR a), where a minimises ||r - dR a||. Memory 0 is
    the plain iteration. Differences are made orthogonal, newest first, which solves for `a` without a matrix; one that
    rounding leaves no direction of its own counts for nothing.
    """

    def __init__(self, memory: int) -> None:
        self.memory = memory
        self._last: tuple[Tensor, Tensor] | None = None
        self._differences: list[tuple[Tensor, Tensor]] = []

    def after(self, x: Tensor, r: Tensor, step: float = 1.0) -> Tensor:
        """The next iterate."""
        if self._last is not None:
            self._differences.insert(0, (x - self._last[0], r - self._last[1]))
            del self._differences[self.memory :]
        self._last = x, r
        orthonormal: list[tuple[Tensor, Tensor]] = []
        for dx, dr in self._differences:
            dx, dr = _scaled(dx, dr, above=1e-30)
            for bx, br in orthonormal:
                along = _dot(br, dr)
                dx, dr = dx - along * bx, dr - along * br
            orthonormal.append(_scaled(dx, dr, above=1e-12 if dr.element_size() == 8 else 1e-5))
        for bx, br in orthonormal:
            along = _dot(br, r)
            x, r = x - along * bx, r - along * br
        return x - step * r


def joined(tensor: Tensor, number: Tensor) -> Tensor:
    """Two unknowns as one: (B, C, H, W) and (B,) -> (B, C H W + 1)."""
    whole = tensor.new_empty(len(tensor), tensor[0].numel() + 1)
    whole[:, :-1], whole[:, -1] = tensor.flatten(1), number
    return whole


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=1, keepdim=True)


def _scaled(dx: Tensor, dr: Tensor, above: float) -> tuple[Tensor, Tensor]:
    """Both divided by ||dr||; nothing where that is not above a threshold."""
    length = _dot(dr, dr).sqrt()
    inverse = (1 / length).where(length > above, length.new_zeros(()))
    return dx * inverse, dr * inverse
