"""The images of all points through one engine: unlike specs share its forwards; what is on the shelf is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar, cast

import numpy as np

from evaluation.identity import Identity
from evaluation.overflow import Overflow
from evaluation.point import Point
from evaluation.questions import Question
from evaluation.samples import Floats, Samples
from evaluation.shelf import Shelf
from guidance.models.base import Model
from jobs.request import GenerationRequest, resolve
from workers.engine import Engine
from workers.task import Outcome, Task

CHUNK = 20
"""Images that are kept together: a cut loses what is under way."""
MIXED = 4
"""Chunks that are sampled side by side, of as many points where there are."""
KIND = "samples"
GREY = 128


T = TypeVar("T")


class SamplingFailed(RuntimeError):
    """An image could not be made, for another reason than its own numbers."""


@dataclass(frozen=True, eq=False)
class Chunk:
    """Consecutive images of one point, and the digest under which they are kept."""

    key: str
    requests: Sequence[GenerationRequest]


class Landing(SimpleQueue[Any]):
    """A task's updates, of which only the end counts: it goes to where all ends are awaited."""

    def __init__(self, index: int, ends: SimpleQueue[tuple[int, Outcome]]) -> None:
        super().__init__()
        self._index, self._ends = index, ends

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if isinstance(item, Outcome):
            self._ends.put((self._index, item))


class Sampling:
    """Models behind an engine, and the shelf of what they have made."""

    def __init__(
        self, models: Mapping[str, Model], folders: Mapping[str, Path], shelf: Shelf, rows: int, arithmetic: str = ""
    ) -> None:
        self.shelf = shelf
        self._infos = {id: model.info for id, model in models.items()}
        self._overflows = {id: Overflow(model) for id, model in models.items()}
        self._identity = Identity(models, folders, arithmetic)
        self._rows = rows

    def chunks(self, point: Point, asked: Sequence[Question]) -> list[Chunk]:
        """A point's images, cut into what is kept together."""
        info = self._infos[point.body["model"]]
        requests = [
            resolve(point.request(one.caption, one.claims, one.seed, one.scene), info, beside=self._infos)
            for one in asked
        ]
        return [Chunk(self._identity.of(part), part) for part in _batched(requests, CHUNK)]

    def missing(self, chunks: Iterable[Chunk]) -> list[Chunk]:
        """Those that are not on the shelf, each once."""
        return [
            chunk for chunk in {chunk.key: chunk for chunk in chunks}.values() if not self.shelf.has(KIND, chunk.key)
        ]

    def read(self, chunks: Sequence[Chunk]) -> Samples:
        """Images that are on the shelf."""
        return Samples.joined([self._read(chunk) for chunk in chunks])

    def make(self, chunks: Sequence[Chunk], landed: Callable[[int], None] = lambda evaluations: None) -> None:
        """Sample what is given; each chunk is kept as soon as it is complete. `landed` is told each image's cost.

        Raises SamplingFailed. What is under way then, or when `landed` raises, is not kept.
        """
        images = [(chunk, place) for group in _batched(chunks, MIXED) for chunk, place in _mixed(group)]
        ended: dict[str, dict[int, Samples]] = {chunk.key: {} for chunk in chunks}
        for index, outcome in self._outcomes([chunk.requests[place] for chunk, place in images]):
            chunk, place = images[index]
            here = ended[chunk.key]
            here[place] = self._sample(chunk.requests[place], outcome)
            if len(here) == len(chunk.requests):
                done = Samples.joined([here[place] for place in range(len(here))])
                self.shelf.put(KIND, chunk.key, done.packed())
                del ended[chunk.key]
            landed(outcome.usage.nfe if outcome.usage else 0)

    def _read(self, chunk: Chunk) -> Samples:
        if (held := self.shelf.get(KIND, chunk.key)) is None:
            raise SamplingFailed(f"{self.shelf.path(KIND, chunk.key)} cannot be read: remove it")
        return Samples.unpacked(held)

    def _outcomes(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, Outcome]]:
        """Each request's index and end, as they end. At most as many run at once as fill a batch with a row each."""
        engine = Engine(cast(dict[str, Model], self._overflows), self._rows)
        ends: SimpleQueue[tuple[int, Outcome]] = SimpleQueue()
        running = dict[int, Task]()
        thread = engine.start()
        try:
            for index, request in enumerate(requests):
                if len(running) >= self._rows:
                    yield _next(ends, running)
                running[index] = Task(f"image {index}", request, updates=Landing(index, ends))
                engine.submit(running[index])
            while running:
                yield _next(ends, running)
        finally:
            for task in running.values():
                task.canceled.set()
            engine.stop()
            thread.join()

    def _sample(self, request: GenerationRequest, outcome: Outcome) -> Samples:
        """One image as arrays of one row. Raises SamplingFailed where it was not its numbers that failed."""
        spent = outcome.usage.nfe if outcome.usage else 0  # an inversion's too, which diagnostics do not count
        if outcome.status == "failed" and outcome.reason == "non_finite":
            assert request.height is not None and request.width is not None
            grey = np.full((1, request.height, request.width, 3), GREY, np.uint8)
            return _row(grey, spent, np.nan, 1.0, np.nan, lost=True)
        if outcome.status != "succeeded":
            raise SamplingFailed(f"{request.prompt!r}, seed {request.seed}: {outcome.detail or outcome.status}")
        [image] = outcome.images
        beyond, std = self._overflows[request.model].of(image.pixels)
        return _row(image.pixels[None], spent, _seconds(image.columns), beyond, std, lost=False)


def _next(ends: SimpleQueue[tuple[int, Outcome]], running: dict[int, Task]) -> tuple[int, Outcome]:
    index, outcome = ends.get()
    del running[index]
    return index, outcome


def _batched(items: Sequence[T], count: int) -> list[Sequence[T]]:
    return [items[start : start + count] for start in range(0, len(items), count)]


def _mixed(group: Sequence[Chunk]) -> Iterator[tuple[Chunk, int]]:
    """Their images in turn, so that a batch holds images of all of them."""
    places = [[(chunk, place) for place in range(len(chunk.requests))] for chunk in group]
    return (one for one in chain.from_iterable(zip_longest(*places)) if one is not None)


def _seconds(columns: Mapping[str, Sequence[float | None]]) -> float:
    """An image's share of the forwards it took part in: its rows of each batch's."""
    spent = zip(columns["milliseconds"], columns["batch_rows"], strict=True)
    return sum((milliseconds or 0) / (rows or 1) for milliseconds, rows in spent) / 1000


def _row(pixels: Any, evaluations: Any, seconds: float, beyond: float, std: float, *, lost: bool) -> Samples:
    def column(number: Any) -> Floats:
        return np.array([float(number)])

    return Samples(pixels, column(evaluations), column(seconds), column(beyond), column(std), np.array([lost]))
