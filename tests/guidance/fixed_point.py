"""Characteristic Guidance as its authors' extension computes it, with matrices and library solvers: a reference.

One iteration at a time over dense (B, n, columns) matrices: least squares by `lstsq`, the projection by `solve`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from guidance.noise import Level

Noise = Callable[[Tensor], Tensor]
"""The noise prediction at x in Karras' scale."""


@dataclass
class Reference:
    """`basis` is None for the unprojected fixed point. Keeps its shift from call to call."""

    basis: int | None = 0
    iterations: int = 50
    tolerance: float = 1e-4
    shift: Tensor | None = None
    sigma: float = 0.0
    counts: list[int] = field(default_factory=list)

    def guided(self, cond: Noise, uncond: Noise, x: Tensor, w: float, level: Level, noisiest: Level) -> Tensor:
        sigma = level.ratio

        def agreed(d: Tensor) -> Tensor:
            return sigma * (uncond(x + w * d) - cond(x + (w - 1) * d))

        shift = torch.zeros_like(x) if self.shift is None else self.shift * sigma**2 / self.sigma**2
        columns = self._columns(-agreed(torch.zeros_like(x)))
        root = (0.5 * 5) ** 0.5 if self.basis is not None else 0.0
        target = (0.5 * (noisiest.alpha / level.alpha) ** 2) ** 0.5 if self.basis is not None else 0.0
        states: list[Tensor] = []
        residuals: list[Tensor] = []
        memory = 1 if self.basis == 0 else 2
        best, kept, done = torch.inf, shift, False
        for count in range(1, self.iterations + 1):
            wanted = agreed(shift)
            if self.basis is not None and count > 1:
                wanted = self._projected(columns, wanted, root**2 / 0.5)
            r = torch.cat([(shift - wanted).flatten(), x.new_tensor([0.4 * (root - target)])])
            size = float(r.square().mean().sqrt())
            if size < best:
                best, kept = size, shift
            if done := best < self.tolerance:
                break
            states.append(torch.cat([shift.flatten(), x.new_tensor([root])]))
            residuals.append(r)
            state = states[-1]
            if differences := list(zip(range(len(states) - 1), range(1, len(states)), strict=True))[-memory:]:
                dr = torch.stack([residuals[b] - residuals[a] for a, b in differences], dim=1)
                dx = torch.stack([states[b] - states[a] for a, b in differences], dim=1)
                scale = dr.norm(dim=0).clamp_min(1e-4)
                share = torch.linalg.lstsq(dr / scale, r[:, None]).solution
                state, r = state - (dx / scale @ share)[:, 0], r - (dr / scale @ share)[:, 0]
            after = state - r
            shift, root = after[:-1].view_as(x), abs(float(after[-1]))
        self.counts.append(count)
        self.shift, self.sigma = kept if done else torch.zeros_like(x), sigma
        guided: Tensor = w * cond(x + (w - 1) * self.shift) - (w - 1) * uncond(x + w * self.shift)
        return guided

    def _columns(self, direction: Tensor) -> Tensor:
        """(groups, elements, columns): the whole sample in one group, or each channel in its own."""
        if not self.basis:
            whole: Tensor = (direction / direction.norm().clamp_min(1e-4)).reshape(1, -1, 1)
            return whole
        flat = direction[0].flatten(1)
        edges = torch.linspace(0, 1, self.basis + 1, dtype=flat.dtype)
        found = torch.zeros(*flat.shape, self.basis, dtype=flat.dtype)
        for channel, values in enumerate(flat):
            lows = values.quantile(edges)
            part = torch.bucketize(values, lows[1:-1], right=True)  # a value at an edge belongs to the part above
            found[channel, torch.arange(len(values)), part] = values
        unit: Tensor = found / found.norm(dim=1, keepdim=True).clamp_min(1e-4)
        return unit

    def _projected(self, columns: Tensor, v: Tensor, regularisation: float) -> Tensor:
        flat = v.reshape(len(columns), -1, 1)
        gram = columns.mT @ columns + regularisation * torch.eye(columns.shape[2], dtype=v.dtype)
        projected: Tensor = columns @ torch.linalg.solve(gram, columns.mT @ flat)
        return projected.view_as(v)
