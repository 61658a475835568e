"""Equal bits for a row whatever its batch. Applied once to a network when it is loaded.

Measured with torch 2.13 on x86 CPUs: convolutions, norms and attention of a batch of two rows or more give each row the same
bits at any batch size; a linear layer on (rows, features), as in time embeddings, does so only for multiples of four rows
(the matrix library treats the remainder with another kernel). So those layers pad their rows, and a lone row is evaluated
twice. This costs nothing that can be measured; padding the whole batch to multiples of four would cost a single request a
third of its speed. See docs/adr.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import Linear, Module
from torch.nn.functional import pad

ROWS = 4
SMALLEST_BATCH = 2


class RowPaddedLinear(Linear):
    """A linear layer that pads (rows, features) inputs to a multiple of four rows."""

    def forward(self, input: Tensor) -> Tensor:
        missing = -len(input) % ROWS
        if input.ndim != 2 or not missing:
            return super().forward(input)
        return super().forward(pad(input, (0, 0, 0, missing)))[: len(input)]


def make_batch_invariant(network: Module) -> None:
    """Replace the linear layers of `network` by row-padded ones, in place, weights kept."""
    for module in network.modules():
        if type(module) is Linear:
            module.__class__ = RowPaddedLinear


def padded(rows: Tensor) -> Tensor:
    """At least two rows: a lone one is doubled."""
    return rows if len(rows) >= SMALLEST_BATCH else torch.cat([rows] * SMALLEST_BATCH)
