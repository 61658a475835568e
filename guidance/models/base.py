"""What every model adapter is."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from guidance.info import ModelInfo
from guidance.noise import Level
from guidance.protocol import Branch, Condition


class Model(Protocol):
    """A network with its text or label encoder and its decoder, behind noise levels and conditions.

    `evaluate` gives each row the same bits whatever the other rows are, so that an image does not depend on its batch.
    """

    info: ModelInfo
    scheduler_config: dict[str, Any]
    """Configuration for diffusers schedulers: the model's own."""
    device: torch.device
    dtype: torch.dtype
    """Of samples; a network may compute in another."""
    decodes_at_once: int
    """Samples that `decode` is best given at a time."""

    def shape(self, width: int, height: int) -> tuple[int, ...]:
        """Shape (1, C, H, W) of the sample behind an image of this size in pixels."""
        ...

    def encode(self, prompt: str | None) -> Condition:
        """The condition of a prompt; None is the null condition."""
        ...

    def label(self, index: int) -> Condition:
        """The condition of a class."""
        ...

    def batch_key(self, branch: Branch) -> Hashable:
        """Branches with equal keys can share a forward."""
        ...

    def evaluate(self, branches: Sequence[Branch]) -> list[Tensor]:
        """One forward. Network outputs (1, C, H, W), in `info.prediction_type`, in the order of the branches.

        Where the branches carry cotangents (all of them or none), a backward too: see `answered`.
        """
        ...

    def log_probability(self, x: Tensor, level: Level, classes: Sequence[int]) -> Tensor:
        """Sum over `classes` (indices into `info.classes`) of log p(class | x), (N,), for noisy x (N, C, H, W).

        Differentiable in x, in at least float32; a row's value and gradient have the same bits in any batch. Only for
        models with a `classifier`. Call it where gradients are on, outside of inference mode.
        """
        ...

    def encode_picture(self, pixels: Tensor) -> Tensor:
        """The sample (1, C, H, W) behind a picture (1, 3, H, W) in -1 to 1. Draws nothing: the same bits each time."""
        ...

    def decode(self, sample: Tensor) -> Tensor:
        """Pixels (N, 3, H, W) of final samples, 0 to 1, on the device. Differentiable where gradients are on."""
        ...


def answered(network: Callable[[Tensor], Tensor], x: Tensor, branches: Sequence[Branch]) -> Tensor:
    """What `network` says of the rows of `x`; where they carry cotangents, the gradients of <output, pull> in x.

    The network sees each cotangent at length 1, in its largest entry: half precision would lose a small one.
    """
    pulls = [branch.pull for branch in branches if branch.pull is not None]
    if not pulls:
        return network(x)
    pull = torch.cat(pulls)
    size = pull.flatten(1).abs().amax(1).clamp_min(torch.finfo(pull.dtype).tiny).view(-1, *[1] * (pull.ndim - 1))
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        output = network(x)
        [gradient] = torch.autograd.grad(output, x, (pull / size).to(output))
    return gradient.to(pull) * size


def to_bytes(pixels: Tensor) -> NDArray[np.uint8]:
    """(1, 3, H, W) in [0, 1] -> (H, W, 3) bytes, rounded as diffusers does. Moves to the host."""
    image = pixels[0].permute(1, 2, 0).float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return image.cpu().numpy()
