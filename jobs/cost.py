"""What requests cost: the arithmetic that workers, who measure, and gateways, who predict, share.

An engine's ticks run the evaluations that wait in as few forwards as may be. Their seconds are taken to be a line: so
many for each forward, whatever is in it, and so many for each row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

LEAST_SECONDS = 1e-9
LEAST_ROWS = 2
"""A lone row is evaluated as two: see ADR 8."""

Rows = NDArray[np.float64]


class Pace(BaseModel):
    """How fast one worker runs one model at one size of image, in seconds of wall time, all that is around included."""

    model_config = ConfigDict(frozen=True)

    model: str
    pixels: int = Field(gt=0)
    """Of an image."""
    forward: float = Field(ge=0)
    """Seconds of a forward besides those of its rows."""
    row: float = Field(ge=0)
    """Seconds of each row; 0 where ticks take as long whatever is in them, as on an accelerator with small batches."""
    image: float = Field(0.0, ge=0)
    """Seconds of each image at its end: decoded, encoded, stored."""
    most: int = Field(gt=0)
    """Rows that a forward may have."""
    shares: tuple[tuple[str, float], ...] = ()
    """Of their planned evaluations, what specs took that decide on the way (`GuidanceSpec.deciders`)."""

    @property
    def rate(self) -> float:
        """Evaluations a second where every forward is full."""
        return self.most / max(float(self.seconds(self.most)), LEAST_SECONDS)

    def seconds(self, rows: ArrayLike) -> Rows:
        """Until so many rows are evaluated, each number by itself: full forwards follow one another. None take none."""
        given = np.asarray(rows, float)
        counted = np.where(given > 0, np.maximum(given, min(LEAST_ROWS, self.most)), 0)
        return self.forward * np.where(given > 0, np.maximum(given / self.most, 1), 0) + self.row * counted

    def alone(self, evaluations: Iterable[float], images: int = 1) -> float:
        """Seconds of a request that has the worker to itself: `evaluations` of one image, call by call."""
        rows = images * np.fromiter(evaluations, float)
        return float(self.seconds(rows).sum()) + images * self.image

    def share(self, deciders: str) -> float:
        """Of the planned evaluations, what is expected to be run: all of them where nothing else is known."""
        return dict(self.shares).get(deciders, 1.0)

    def at(self, pixels: int) -> Pace:
        """The same at another size of image, taken to be proportional."""
        scale = pixels / self.pixels
        scaled = {name: getattr(self, name) * scale for name in ("forward", "row", "image")}
        return self.model_copy(update={"pixels": pixels, **scaled})


def work(rows: ArrayLike, most: int) -> tuple[Rows, Rows]:
    """Forwards and rows of ticks that evaluate so many rows, at most `most` at a time."""
    given = np.asarray(rows, float)
    full, rest = np.divmod(given, most)
    return full + (rest > 0), most * full + np.where(rest > 0, np.maximum(rest, min(LEAST_ROWS, most)), 0)


def nearest(paces: Iterable[Pace], model: str, pixels: int) -> Pace | None:
    """That of a model at a size of image, measured or scaled from the size that comes nearest; None: not known."""
    known = [pace for pace in paces if pace.model == model]
    if not known:
        return None
    return min(known, key=lambda pace: abs(np.log(pace.pixels / pixels))).at(pixels)


def ends(ahead: Sequence[tuple[Pace, Sequence[float]]]) -> list[float]:
    """Seconds until the last call of each of the images that a worker has in flight, if nothing joins them.

    Each is its model's pace and its evaluations to come, call by call. All advance by one call in the same time.
    """
    last = [len(calls) for _, calls in ahead]
    rows: defaultdict[Pace, Rows] = defaultdict(lambda: np.zeros(max(last)))
    for pace, calls in ahead:
        rows[pace][: len(calls)] += calls
    ticks = sum((pace.seconds(together) for pace, together in rows.items()), np.zeros(max(last, default=0)))
    return [float(end) for end in np.concatenate([[0.0], np.cumsum(ticks)])[last]]


def crowded_ends(ahead: Sequence[tuple[Pace, Sequence[float]]]) -> list[float]:
    """The same if another like it takes the place of each that ends: as many rows as now, on the mean."""
    rows: defaultdict[Pace, float] = defaultdict(float)
    for pace, calls in ahead:
        rows[pace] += sum(calls) / max(1, len(calls))
    tick = sum(float(pace.seconds(together)) for pace, together in rows.items())
    return [len(calls) * tick for _, calls in ahead]


@dataclass(frozen=True)
class Traffic:
    """What there is to do before one that waits, in network evaluations, for workers that serve the same."""

    ahead: float
    """Of those that are before it in line."""
    running: float
    """Still to come of what runs."""
    slots: int
    """Generations that run at a time."""
    rate: float
    """Evaluations a second at full batches, all workers together."""

    def wait(self, own: float, alone: float) -> float:
        """Seconds until one that waits ends: `own` evaluations, which take `alone` seconds where nothing else runs.

        In turn, it would end once all that came before is done. But from its start on it shares its worker with what
        comes after, where there is a line: then half of what an equal share in full slots would take longer is added.
        """
        in_turn = self.ahead + self.running + own
        shared = self.ahead + self.running / self.slots + own * self.slots
        later = max(0.0, shared - in_turn) / 2 if self.ahead else 0.0
        return max(alone, (in_turn + later) / self.rate)
