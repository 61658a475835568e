"""Samples become pixels on a thread of their own: the engine's goes on with those that are not done."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import torch
from torch import Tensor

from guidance.models.base import Model, to_bytes
from workers.task import Pixels

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Wanted:
    """A sample (1, C, H, W) to decode, who is told its pixels, and who is told the error if that failed."""

    model: Model
    sample: Tensor
    done: Callable[[Pixels], None]
    failed: Callable[[Exception], None]

    def beside(self, other: Wanted) -> bool:
        """Whether both can be decoded at once."""
        return self.model is other.model and self.sample.shape == other.sample.shape


Took = Callable[[Model, Sequence[int], int, float], None]
Item = Wanted | Callable[[], None]
"""Something to decode, or something to do once all before it is done."""


class Decoder:
    """In the order in which it is asked. Its thread begins with the first item; `close` ends it after the last."""

    def __init__(self, took: Took = lambda model, shape, images, seconds: None) -> None:
        """`took` is told how long it took to decode so many samples of a model and a shape."""
        self._took = took
        self._items: SimpleQueue[Item | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, item: Item) -> None:
        """From one thread only."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="decoder", daemon=True)
            self._thread.start()
        self._items.put(item)

    def close(self) -> None:
        """Return when all is done."""
        if self._thread is not None:
            self._items.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        held: list[Item | None] = []
        while (item := held.pop() if held else self._items.get()) is not None:
            if isinstance(item, Wanted):
                batch, held = self._batch(item)
                began = time.perf_counter()
                _decode(batch)
                self._took(item.model, item.sample.shape, len(batch), time.perf_counter() - began)
            else:
                _do(item)

    def _batch(self, first: Wanted) -> tuple[list[Wanted], list[Item | None]]:
        """What waits and can be decoded with the first, as much as the model takes at once; and what came after it."""
        batch = [first]
        while len(batch) < first.model.decodes_at_once:
            try:
                item = self._items.get_nowait()
            except Empty:
                break
            if not (isinstance(item, Wanted) and item.beside(first)):
                return batch, [item]
            batch.append(item)
        return batch, []


def _do(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception:  # the next one's images are not at fault
        log.exception("a generation could not be ended")


@torch.no_grad()
def _decode(batch: Sequence[Wanted]) -> None:
    """Tell each its pixels. Where all at once fail, each by itself."""
    try:
        pixels = batch[0].model.decode(torch.cat([wanted.sample for wanted in batch]))
        pictures = [to_bytes(row) for row in torch.split(pixels, 1)]
    except Exception as error:
        if len(batch) == 1:
            batch[0].failed(error)
        else:
            for wanted in batch:
                _decode([wanted])
        return
    for wanted, picture in zip(batch, pictures, strict=True):
        _do(lambda wanted=wanted, picture=picture: wanted.done(picture))  # type: ignore[misc]
