"""What a worker measures of its own speed: for each model and size of image a line through its ticks."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

import numpy as np

from guidance.models.base import Model
from guidance.protocol import Branch
from guidance.trajectory import Trajectory
from jobs.cost import Pace, work
from jobs.request import GenerationRequest
from workers.batcher import Room

MEMORY = 0.998
"""Of a tick, at the next one: what a line is drawn through are the last 500 or so."""
RECENT = 0.95
"""The same for the pace that the machine has just now, by which the whole line goes up and down: the last 20."""
SHRINK = 1e-6
"""What ticks of one size do not tell apart is taken for time of their rows: then full batches are no cheaper."""
FIRST, FIT_TICKS = 16, 8
"""The line is drawn anew at each of the first ticks, and then every so many."""
REMEMBERED, TOLD = 64, 8
"""Kinds of rows that have a line, and sizes of image that gateways are told of: the latest."""

PAIRS = ((0, 0), (0, 1), (1, 1))
Key = TypeVar("Key", bound=tuple[str, object])
Kind = tuple[str, int, bool]
"""Rows that share a forward: a model, the cells of its sample, and whether they ask for a gradient."""
Made = tuple[float, float]
"""In a tick: forwards and rows."""


@dataclass
class Line:
    """Seconds of a tick = forward x forwards + row x rows: least squares, with forgetting.

    Each tick counts by its time per row, so that a small one says as much as a large one.
    """

    slopes: Made | None = None
    """Seconds of a forward and of a row, as of late; None: not known. Replaced, never changed."""
    _ticks: int = 0
    _products: list[float] = field(default_factory=lambda: [0.0] * len(PAIRS))
    _answers: list[float] = field(default_factory=lambda: [0.0] * 2)
    _fitted: list[float] = field(default_factory=lambda: [0.0] * 2)
    _spent: float = 0.0
    _expected: float = 0.0

    def observe(self, made: Made, seconds: float) -> None:
        """One tick. The first one warms up, and does not count. Plain numbers: it is the engine's own time."""
        self._ticks += 1
        if self._ticks == 1:
            return
        weight = 1 / made[1] ** 2
        self._products = [
            MEMORY * old + weight * made[i] * made[j] for old, (i, j) in zip(self._products, PAIRS, strict=True)
        ]
        self._answers = [MEMORY * old + weight * seconds * one for old, one in zip(self._answers, made, strict=True)]
        if self._ticks <= FIRST or self._ticks % FIT_TICKS == 0:
            self._fitted = self._fit()
        self._spent = RECENT * self._spent + seconds
        self._expected = RECENT * self._expected + self.seconds(made)
        drift = self._spent / self._expected
        self.slopes = drift * self._fitted[0], drift * self._fitted[1]

    def seconds(self, made: Made) -> float:
        """Expected of a tick."""
        return sum(slope * one for slope, one in zip(self._fitted, made, strict=True))

    def _fit(self) -> list[float]:
        """None is below 0: what would be is left out."""
        products = SHRINK * np.diag([1.0, 0.0])
        for value, (i, j) in zip(self._products, PAIRS, strict=True):
            products[i, j] += value
            products[j, i] = products[i, j]
        answers, used = np.array(self._answers), np.ones(2, bool)
        while True:
            slopes = np.zeros(2)
            slopes[used] = np.linalg.solve(products[np.ix_(used, used)], answers[used])
            if (slopes >= 0).all():
                return [float(slope) for slope in slopes]
            used &= slopes > 0


class Meter:
    """Of one engine, whose thread calls `tick`. `room` says how many rows a forward may have now."""

    def __init__(self, models: Mapping[str, Model], room: Room) -> None:
        self._pixels = {id: pixels_per_cell(model) for id, model in models.items()}
        self._room = room
        self._lines: OrderedDict[Kind, Line] = OrderedDict()
        self._decoded: dict[tuple[str, int], float] = {}
        self._kept: dict[tuple[str, int], float] = {}
        self._shares: dict[tuple[str, str], float] = {}

    def tick(self, wanted: Sequence[tuple[Model, Branch]], ended: Sequence[Trajectory], seconds: float) -> None:
        """What was evaluated in a tick, whose samples it ended, and how long all of it took."""
        for trajectory in ended:
            self._spared(trajectory)
        together = Counter((id(model), branch.x.shape, branch.pull is not None) for model, branch in wanted)
        models = {id(model): model for model, _ in wanted}
        made: dict[Kind, Made] = {}
        for (model, shape, pulled), rows in together.items():
            one = kind(models[model], shape, pulled)
            forwards, evaluated = _work(rows, self._room.rows)
            before = made.get(one, (0.0, 0.0))  # upright and lying images of one size have forwards of their own
            made[one] = before[0] + forwards, before[1] + evaluated
        dealt = self._dealt(made)
        for one, counts in made.items():
            self._line(one).observe(counts, seconds * dealt[one])

    def decoded(self, model: Model, shape: Sequence[int], images: int, seconds: float) -> None:
        """How long it took to decode so many samples of a shape."""
        id, cells, _ = kind(model, shape)
        _average(self._decoded, (id, cells * self._pixels[id]), seconds / images)

    def kept(self, request: GenerationRequest, images: int, seconds: float) -> None:
        """How long it took to encode and store so many images of a request."""
        if images:
            _average(self._kept, (request.model, (request.width or 0) * (request.height or 0)), seconds / images)

    def paces(self) -> list[Pace]:
        """What is known, the latest size of the latest model first."""
        found: list[Pace] = []
        for (model, cells, pulled), line in reversed(self._lines.copy().items()):
            if line.slopes is not None and not pulled and len(found) < TOLD:
                pixels = cells * self._pixels[model]
                image = self._decoded.get((model, pixels), 0.0) + self._kept.get((model, pixels), 0.0)
                line_of = {"forward": line.slopes[0], "row": line.slopes[1], "image": image}
                shares = tuple(
                    (deciders, share) for (id, deciders), share in self._shares.copy().items() if id == model
                )
                found.append(Pace(model=model, pixels=pixels, most=self._room.rows, shares=shares, **line_of))
        return found

    def _spared(self, ended: Trajectory) -> None:
        """Learn how many of its planned evaluations one has taken that was to decide on the way."""
        if deciders := ended.guidance.deciders:
            share = ended.nfe_done / (ended.plan.nfe + ended.inversion_nfe)
            _average(self._shares, (ended.model.info.id, deciders), share)

    def _line(self, one: Kind) -> Line:
        line = self._lines.setdefault(one, Line())
        self._lines.move_to_end(one)
        if len(self._lines) > REMEMBERED:
            self._lines.popitem(last=False)
        return line

    def _dealt(self, made: Mapping[Kind, Made]) -> dict[Kind, float]:
        """Of each kind in the tick's time: as expected of them, or by cells where one is new."""
        lines = {one: self._line(one) for one in made}
        if len(made) > 1 and all(line.slopes is not None for line in lines.values()):
            weights = [line.seconds(made[one]) for one, line in lines.items()]
        else:
            weights = [cells * rows for (_, cells, _), (_, rows) in made.items()]
        return {one: weight / sum(weights) for one, weight in zip(made, weights, strict=True)}


def _average(means: dict[Key, float], key: Key, value: float) -> None:
    """Take a value into the mean of the latest under that key."""
    means[key] = RECENT * means.get(key, value) + (1 - RECENT) * value


@lru_cache
def _work(rows: int, most: int) -> tuple[float, float]:
    forwards, evaluated = work(rows, most)
    return float(forwards), float(evaluated)


def kind(model: Model, shape: Sequence[int], pulled: bool = False) -> Kind:
    return model.info.id, shape[-2] * shape[-1], pulled


def pixels_per_cell(model: Model) -> int:
    """Pixels of an image for one of its sample."""
    width, height = model.info.width, model.info.height
    _, cells, _ = kind(model, model.shape(width, height))
    return width * height // cells
