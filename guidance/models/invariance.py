"""Equal bits for a row whatever its batch. Applied once to a network when it is loaded.

Measured with torch 2.13 on x86 CPUs: convolutions, norms and attention of a batch of two rows or more give each row the
same bits at any batch size. Three kinds of layer do not. A linear layer on (rows, features), as in time embeddings, does
so only for multiples of four rows, and with AVX-512 from some rows on, which are more the more features there are: the
matrix library treats remainders and few rows with other kernels. And on one thread a
1 x 1 convolution changes kernel with the size of its batch (256 to 128 channels on 8 x 8: from 16 rows), which a linear
layer over the channels does not. And from 32 x 32 positions on, group norm of channels_last input shares out the pixels
of the whole batch among the threads, so that the middle row of an odd batch is summed in two halves. So linear layers pad
their rows, 1 x 1 convolutions become the linear layers that they are, such group norms take one row at a time, and a lone
row is evaluated twice. Padding the whole batch to multiples of four would cost a single request a third of its
speed. See docs/adr/0008-equal-bits-in-any-batch.md.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import Conv2d, GroupNorm, Linear, Module
from torch.nn.functional import linear, pad

ROWS = 16
WIDTH = 16
"""Features to a row of padding: with AVX-512, few rows of many features take another kernel (256: up to 10 rows)."""
SMALLEST_BATCH = 2
LARGE_MAP = 1024
"""Positions from which torch normalises channels_last input with another kernel."""


class RowPaddedLinear(Linear):
    """A linear layer that pads (rows, features) inputs to a multiple of ROWS, and of more for many features."""

    def forward(self, input: Tensor) -> Tensor:
        missing = -len(input) % max(ROWS, ROWS * (self.in_features // (ROWS * WIDTH)))
        if input.ndim != 2 or not missing:
            return super().forward(input)
        return super().forward(pad(input, (0, 0, 0, missing)))[: len(input)]


class PointwiseConv2d(Conv2d):
    """A 1 x 1 convolution (N, C, H, W), computed as a linear layer over the channels."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class RowGroupNorm(GroupNorm):
    """A group norm (N, C, H, W) whose large maps are normalised row by row."""

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim != 4 or input.shape[2] * input.shape[3] < LARGE_MAP or input.is_contiguous():
            return super().forward(input)
        return torch.cat([super(RowGroupNorm, self).forward(row) for row in torch.split(input, 1)])


def make_batch_invariant(network: Module) -> None:
    """Replace linear layers, 1 x 1 convolutions and group norms of `network` by invariant ones, in place, weights kept."""
    for module in network.modules():
        if type(module) is Linear:
            module.__class__ = RowPaddedLinear
        elif type(module) is GroupNorm:
            module.__class__ = RowGroupNorm
        elif type(module) is Conv2d and _pointwise(module):
            module.__class__ = PointwiseConv2d


def _pointwise(layer: Conv2d) -> bool:
    return (layer.kernel_size, layer.stride, layer.padding, layer.groups) == ((1, 1), (1, 1), (0, 0), 1)


def padded(rows: Tensor) -> Tensor:
    """At least two rows: a lone one is doubled."""
    return rows if len(rows) >= SMALLEST_BATCH else torch.cat([rows] * SMALLEST_BATCH)
