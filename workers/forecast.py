"""When what runs here will end: its calls to come and those of all that shares the engine, at the engine's own pace."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter

from guidance.trajectory import Trajectory
from jobs.cost import Pace, crowded_ends, ends, nearest
from workers.engine import Engine
from workers.flight import Flight

FRESH_SECONDS = 0.5
"""For which a forecast stands: its cost, some tens of microseconds a task, is paid this often at most."""

log = logging.getLogger(__name__)

Left = tuple[float, float]


class Forecast:
    """For the threads that report progress; the engine's own has nothing of it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._lock = threading.Lock()
        self._made = -1e9
        self._left: dict[str, Left] = {}

    def left(self, id: str) -> Left | None:
        """Seconds until a task ends: if nothing joins what runs, and if others take the place of what ends.

        None where nothing is known.
        """
        with self._lock:
            now = time.monotonic()
            if now - self._made > FRESH_SECONDS or id not in self._left:
                self._made, self._left = now, self._all_left()
            if (left := self._left.get(id)) is None:
                return None
            alone, crowded = left
            return max(0.0, alone - now + self._made), max(0.0, crowded - now + self._made)

    def remaining(self) -> int:
        """Evaluations to come of all that runs."""
        return int(sum(sum(calls_ahead(lane.trajectory)) for flight in self.engine.flights for lane in flight.running))

    def _all_left(self) -> dict[str, Left]:
        try:
            return self.all_left()
        except Exception:  # a generation goes on, whatever is said of its end
            log.exception("there is no forecast")
            return {}

    def all_left(self) -> dict[str, Left]:
        """Of every task that runs."""
        paces = self.engine.meter.paces()
        owners: list[tuple[str, float]] = []
        ahead: list[tuple[Pace, list[float]]] = []
        for flight in self.engine.flights:
            request = flight.task.request
            if pace := nearest(paces, request.model, (request.width or 0) * (request.height or 0)):
                found = rows_ahead(flight, pace.share(request.guidance.deciders))
                ahead += [(pace, rows) for rows in found]
                owners += [(flight.task.id, request.n * pace.image)] * len(found)
        left: dict[str, Left] = {}
        for (id, after), alone, crowded in zip(owners, ends(ahead), crowded_ends(ahead), strict=True):
            left[id] = max(left.get(id, (0.0, 0.0)), (alone + after, crowded + after))
        return left


def rows_ahead(flight: Flight, share: float) -> list[list[float]]:
    """Rows of its images in each tick to come, those that stand at the same call together; of the plan that share."""
    level = Counter(lane.trajectory.calls_done for lane in flight.running)
    standing = {lane.trajectory.calls_done: lane.trajectory for lane in flight.running}
    return [
        [share * level[done] * nfe for nfe in calls_ahead(trajectory)]
        for done, trajectory in standing.items()
        if level[done]  # it may have moved between the two looks
    ]


def calls_ahead(trajectory: Trajectory) -> list[int]:
    """Evaluations of each of its calls to come, the inversion of its source before the first."""
    calls = [call.nfe for call in trajectory.plan.calls[trajectory.calls_done :]]
    inversion = trajectory.inversion_nfe - trajectory.nfe_done if not trajectory.calls_done else 0
    return [1] * max(0, inversion) + calls
