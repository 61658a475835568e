"""The rows of one forward, dealt out to the cores of a CPU.

A forward on all cores at once meets at the end of every layer: with few rows a layer is over before the cores have met,
and where another process holds one of them, all wait. Rows do not need each other, and have the same bits whatever is
beside them (docs/adr/0008-equal-bits-in-any-batch.md), so each share of them goes its own way, and they meet once.
See docs/adr/0028-rows-dealt-to-cores.md for what that gains.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import accumulate, pairwise
from typing import TypeVar

import torch

from guidance.models.invariance import SMALLEST_BATCH
from guidance.models.tries import Tries

Row = TypeVar("Row")
Answer = TypeVar("Answer")


class Cores:
    """Threads that compute shares side by side, as many as torch may use in the thread that asks."""

    def __init__(self) -> None:
        self._count = torch.get_num_threads()
        self._threads: ThreadPoolExecutor | None = None
        self._tries: dict[tuple[int, int], Tries[int]] = {}

    def shared(
        self,
        compute: Callable[[Sequence[Row]], list[Answer]],
        rows: Sequence[Row],
        kind: Hashable = None,
        *,
        singly: bool = False,
    ) -> list[Answer]:
        """`compute(rows)`, share by share, in the order of the rows. Raises the first error, once every share is over.

        `singly`: no share gets more than one core. A backward pass on several gives rows other bits in other places,
        on processors with AVX-512.
        Too few rows for two shares are computed where they are asked for, by all cores or by one, whichever is faster
        for rows of this `kind`: for a small network that is one.
        """
        cores = torch.get_num_threads()
        parts = shares(len(rows), cores)
        if cores == 1:
            return compute(rows)
        if len(parts) < 2:
            return self._together(cores, compute, rows, (kind, len(rows)), [1] if singly else [cores, 1])
        if self._threads is None:
            self._threads = ThreadPoolExecutor(cores - 1, "core")
        own, *others = [rows[start:end] for start, end in parts]
        each = 1 if singly else cores // len(parts)
        futures = [self._threads.submit(_on, each, compute, share) for share in others]
        try:
            answers = _on(each, compute, own)  # here: a thread that sleeps takes a while to find its core
        finally:
            wait(futures)
            torch.set_num_threads(cores)  # new threads begin with what was set last, in whichever thread
        return answers + [answer for future in futures for answer in future.result()]

    def whole(self, compute: Callable[[], Answer]) -> Answer:
        """`compute()` on as many cores as there were when this was made, which the thread that asks keeps.

        A thread begins with what was set last, in whichever thread, and an autoencoder's bits depend on it, on
        processors with AVX-512.
        """
        _keep(self._count)
        return compute()

    def _together(
        self,
        cores: int,
        compute: Callable[[Sequence[Row]], list[Answer]],
        rows: Sequence[Row],
        kind: Hashable,
        ways: list[int],
    ) -> list[Answer]:
        tries = self._tries.setdefault((cores, len(ways)), Tries(ways))
        way, began = tries.next(kind), time.perf_counter()
        try:
            answers = _on(way, compute, rows)
        finally:
            torch.set_num_threads(cores)
        tries.took(kind, way, time.perf_counter() - began)
        return answers


def shares(rows: int, cores: int) -> list[tuple[int, int]]:
    """Where each share begins and ends: as many as there are cores, as even as can be, none smaller than a batch."""
    parts = max(1, min(cores, rows // SMALLEST_BATCH))
    sizes = (rows // parts + (part < rows % parts) for part in range(parts))
    return list(pairwise(accumulate(sizes, initial=0)))


def _on(cores: int, compute: Callable[[Sequence[Row]], list[Answer]], rows: Sequence[Row]) -> list[Answer]:
    """Compute in this thread, and in as many as it may ask for help."""
    _keep(cores)
    return compute(rows)


def _keep(cores: int) -> None:
    """This thread computes on so many from here on."""
    if torch.get_num_threads() != cores:
        torch.set_num_threads(cores)
