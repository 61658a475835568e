"""Muon: momentum whose matrices are made orthogonal. Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the odd polynomial that draws singular values towards 1, as published; five times suffice."""
ITERATIONS = 5
RMS = 0.2
"""Root mean square of an update at rate 1: about AdamW's (Liu et al. 2025, arXiv:2502.16982, section 2.2)."""


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrices (N, m, n) to `matrices`, roughly: singular values between 0.7 and 1.2."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x: Tensor = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """For weights of two dimensions and more; a convolution's (out, in, h, w) is the matrix (out, in * h * w).

    torch.optim.Muon takes matrices alone. Weights of one shape go through the iterations together.
    """

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        precision: torch.dtype = torch.float32,
    ) -> None:
        """`precision`: of the iterations, which stand bfloat16."""
        super().__init__(weights, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.precision = precision
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.ndim < 2:
                    raise ValueError(f"Muon takes weights of two dimensions and more, not {tuple(weight.shape)}")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of the weights that have a gradient."""
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[nn.Parameter]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    alike[len(weight), weight[0].numel()].append(weight)
            for (rows, columns), weights in alike.items():
                pushes = torch.stack([self._momentum(weight, group).reshape(rows, columns) for weight in weights])
                scale = RMS * max(rows, columns) ** 0.5
                for weight, push in zip(weights, orthogonal(pushes.to(self.precision)), strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.add_(push.reshape(weight.shape), alpha=-group["lr"] * scale)

    def _momentum(self, weight: nn.Parameter, group: dict[str, Any]) -> Tensor:
        """Nesterov's: where the gradients' average would be after one more step like this one."""
        assert weight.grad is not None
        average: Tensor = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
        average.lerp_(weight.grad, 1 - group["momentum"])
        return weight.grad.lerp(average, group["momentum"])
