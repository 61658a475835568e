"""Many branches, as few forwards as may be; a failure stays with the rows that cause it."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from traceback import clear_frames

import torch
from torch import Tensor

from guidance.models.base import Model
from guidance.protocol import Branch


@dataclass(frozen=True, eq=False)
class Answer:
    """What became of one branch: the network's output or the error that it alone caused."""

    output: Tensor | Exception
    seconds: float
    rows: int


@dataclass
class Totals:
    """Counters since the start, for metrics and benchmarks."""

    forwards: int = 0
    rows: int = 0
    seconds: float = 0.0
    splits: int = 0
    out_of_memory: int = 0
    by_rows: Counter[int] = field(default_factory=Counter)
    """Forwards by their number of rows."""


class Room:
    """How many rows the device has room for in one forward, as far as is known.

    Half of what failed; and twice as many again after `patience` forwards as large as it allows, because what took the
    room may be gone. Where that fails too, the next try comes after twice as many.
    """

    def __init__(self, most: int, patience: int = 64) -> None:
        self.most = self.rows = most
        self._first_patience = self._patience = patience
        self._good, self._trying = 0, False

    def ended_well(self, rows: int) -> None:
        if rows < self.rows:
            return
        if self._trying:
            self._trying, self._patience = False, self._first_patience
        self._good += 1
        if self.rows < self.most and self._good >= self._patience:
            self.rows, self._good, self._trying = min(self.most, 2 * self.rows), 0, True

    def was_too_small(self, rows: int) -> None:
        """For so many."""
        if self._trying:
            self._trying, self._patience = False, 2 * self._patience
        self.rows, self._good = max(1, min(self.rows, rows // 2)), 0


class Batcher:
    """Groups branches that can share a forward and runs them, at most `max_rows` at a time and as many as have room."""

    def __init__(self, max_rows: int, totals: Totals | None = None) -> None:
        self.room = Room(max_rows)
        self.totals = totals or Totals()

    def evaluate(self, wanted: Sequence[tuple[Model, Branch]]) -> list[Answer]:
        """One answer for each (model, branch), in order."""
        answers: dict[int, Answer] = {}
        for model, places in self._groups(wanted):
            branches = [wanted[place][1] for place in places]
            answers.update(zip(places, self._run(model, branches), strict=True))
        return [answers[place] for place in range(len(wanted))]

    def _groups(self, wanted: Sequence[tuple[Model, Branch]]) -> Iterator[tuple[Model, list[int]]]:
        together: defaultdict[tuple[int, Hashable], list[int]] = defaultdict(list)
        for place, (model, branch) in enumerate(wanted):
            together[id(model), model.batch_key(branch)].append(place)
        for places in together.values():
            model = wanted[places[0]][0]
            while places:
                rows = self.room.rows  # which the forward before may have changed
                yield model, places[:rows]
                places = places[rows:]

    def _run(self, model: Model, branches: Sequence[Branch]) -> list[Answer]:
        """One forward; where it fails, halves of it, down to the rows at fault."""
        began = time.perf_counter()
        outputs = _tried(model, branches)
        seconds = time.perf_counter() - began
        if isinstance(outputs, Exception):
            return self._failed(model, branches, outputs, seconds)
        self.room.ended_well(len(branches))
        self.totals.forwards += 1
        self.totals.rows += len(branches)
        self.totals.by_rows[len(branches)] += 1
        self.totals.seconds += seconds
        return [Answer(output, seconds, len(branches)) for output in outputs]

    def _failed(self, model: Model, branches: Sequence[Branch], error: Exception, seconds: float) -> list[Answer]:
        """What comes of halves. Where both have room, there was none for the whole; else a row is at fault."""
        no_room = is_out_of_memory(error)
        if no_room:
            self.totals.out_of_memory += 1
            release_memory()
        if len(branches) == 1:
            return [Answer(error, seconds, 1)]
        self.totals.splits += 1
        middle = len(branches) // 2
        answers = self._run(model, branches[:middle]) + self._run(model, branches[middle:])
        outputs = [answer.output for answer in answers]
        if no_room and not any(isinstance(output, Exception) and is_out_of_memory(output) for output in outputs):
            self.room.was_too_small(len(branches))
        return answers


def _tried(model: Model, branches: Sequence[Branch]) -> list[Tensor] | Exception:
    """The error with its traceback, without what its frames held: room for the next try."""
    try:
        return model.evaluate(branches)
    except Exception as error:
        clear_frames(error.__traceback__)
        return error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the host had no room. The host's allocator raises a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def release_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
