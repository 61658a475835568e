"""Many branches, as few forwards as may be; a failure stays with the rows that cause it."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

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


@dataclass
class Batcher:
    """Groups branches that can share a forward and runs them, at most `max_rows` at a time."""

    max_rows: int
    totals: Totals = field(default_factory=Totals)

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
            for start in range(0, len(places), self.max_rows):
                yield model, places[start : start + self.max_rows]

    def _run(self, model: Model, branches: Sequence[Branch]) -> list[Answer]:
        """One forward; where it fails, halves of it, down to the rows at fault."""
        began = time.perf_counter()
        try:
            outputs = model.evaluate(branches)
        except Exception as error:
            self.totals.out_of_memory += is_out_of_memory(error)
            if len(branches) == 1:
                return [Answer(error, time.perf_counter() - began, 1)]
            self.totals.splits += 1
            if is_out_of_memory(error):
                self.max_rows = max(1, min(self.max_rows, len(branches) // 2))
                release_memory()
            middle = len(branches) // 2
            return self._run(model, branches[:middle]) + self._run(model, branches[middle:])
        seconds = time.perf_counter() - began
        self.totals.forwards += 1
        self.totals.rows += len(branches)
        self.totals.by_rows[len(branches)] += 1
        self.totals.seconds += seconds
        return [Answer(output, seconds, len(branches)) for output in outputs]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the host had no room. The host's allocator raises a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def release_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
