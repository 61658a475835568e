"""Networks recorded once for each canonical batch size and replayed: one launch in place of hundreds of kernels.

Recording is told apart from what is recorded: `guidance.models.cuda.Recorder` makes CUDA graphs, a plain call is a
recording that saves nothing, and which sizes there are, what is kept and what becomes of a failure is the same for both.
See docs/adr/0027-recorded-networks.md.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from guidance.models.invariance import SMALLEST_BATCH

log = logging.getLogger(__name__)

Inputs = Mapping[str, Tensor]
"""What a network is told, by name. Each tensor has a row for every row of the batch."""
Network = Callable[[Inputs], Tensor]
"""Inputs of N rows -> an output of N rows."""
Work = Callable[[], Tensor]
Recorder = Callable[[Work], Work]
"""Work -> a replay of it, which reads and writes the same memory each time."""

SIZES = (2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Canonical numbers of rows: at most half as many again as are asked."""
KEPT = 48


@dataclass(frozen=True)
class Sizes:
    """How many rows a batch is given: canonical ones where networks are recorded, or always the same."""

    most: int = SIZES[-1]
    """Rows of the largest batch that is asked; no batch is padded beyond it."""
    always: int | None = None
    """Every batch has so many, so that every row meets the same kernels."""

    def padded(self, rows: int) -> int:
        """Of a batch that is run as it comes."""
        return self._always(rows) if self.always else max(rows, SMALLEST_BATCH)

    def canonical(self, rows: int) -> int:
        """Of a batch that is recorded."""
        if self.always:
            return self._always(rows)
        return max(rows, SMALLEST_BATCH, min(self.most, next((size for size in SIZES if size >= rows), rows)))

    def _always(self, rows: int) -> int:
        assert self.always is not None
        if rows > self.always:
            raise ValueError(f"{rows} rows in one forward, where every forward has {self.always}")
        return self.always


def count_of(inputs: Inputs) -> int:
    """Rows of the batch."""
    return len(next(iter(inputs.values())))


def padded_to(size: int, inputs: Inputs) -> dict[str, Tensor]:
    """`inputs` with the last row repeated until there are `size`, in the same memory format."""
    missing = size - count_of(inputs)
    return {name: torch.cat([rows, *[rows[-1:]] * missing]) if missing else rows for name, rows in inputs.items()}


class Recording:
    """A network over inputs of its own, of one size: they are filled, it is replayed, what came out is copied."""

    def __init__(self, network: Network, inputs: Inputs, size: int, recorder: Recorder) -> None:
        self._inputs = {name: rows.clone() for name, rows in padded_to(size, inputs).items()}
        self._replay = recorder(lambda: network(self._inputs))

    def __call__(self, inputs: Inputs, count: int) -> Tensor:
        for name, rows in inputs.items():
            self._inputs[name][:count].copy_(rows, non_blocking=True)  # the rest is what an earlier batch left there
        return self._replay()[:count].clone()  # the next replay writes over it


class Graphs:
    """A network that is recorded at the first batch of a kind, and replayed from then on.

    A kind is the canonical size with the shapes and dtypes of a row. The least recently used recordings are dropped; what
    cannot be recorded is run as it comes, from then on. For one thread.
    """

    def __init__(self, network: Network, sizes: Sizes, recorder: Recorder, kept: int = KEPT) -> None:
        self.network = network
        self.sizes = sizes
        self.recorder = recorder
        self.kept = kept
        self.recordings: OrderedDict[Hashable, Recording] = OrderedDict()
        self.refused: set[Hashable] = set()

    def __call__(self, inputs: Inputs) -> Tensor:
        count = count_of(inputs)
        recording = self._recording(inputs, self.sizes.canonical(count))
        if recording is not None:
            return recording(inputs, count)
        try:
            return self.network(padded_to(self.sizes.padded(count), inputs))[:count]
        except torch.OutOfMemoryError:
            self.recordings.clear()  # they hold room that the next try may need
            raise

    def _recording(self, inputs: Inputs, size: int) -> Recording | None:
        key = (size, *((name, rows.shape[1:], rows.dtype) for name, rows in inputs.items()))
        if key not in self.recordings and key not in self.refused:
            self._record(key, inputs, size)
        if key in self.recordings:
            self.recordings.move_to_end(key)
        return self.recordings.get(key)

    def _record(self, key: Hashable, inputs: Inputs, size: int) -> None:
        try:
            self.recordings[key] = Recording(self.network, inputs, size, self.recorder)
        except Exception as error:  # no room, or something that cannot be recorded: it may still be run
            self.refused.add(key)
            log.warning("forwards of %d rows are not recorded: %s", size, error)
        if len(self.recordings) > self.kept:
            self.recordings.popitem(last=False)
