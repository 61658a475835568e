"""From a task to a flight: conditions, trajectories and their first requests, made in the thread that submits it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from guidance.models.base import Model
from guidance.trajectory import Trajectory
from workers.decoder import Decoder
from workers.encoder import Encoder
from workers.flight import Flight
from workers.lane import Lane
from workers.task import Task

log = logging.getLogger(__name__)


class Boarding:
    """For several threads: prompts are encoded and first noise is drawn while the engine goes on with what it has."""

    def __init__(self, models: Mapping[str, Model], decoder: Decoder) -> None:
        self.models = models
        self._encoder = Encoder()
        self._decoder = decoder
        self._lock = threading.Lock()

    @torch.no_grad()
    def board(self, task: Task, aboard: Callable[[Flight], None]) -> None:
        """Tell `aboard` the flight of a task, from its checkpoint where it has one that fits."""
        with self._lock:  # neither tokenizers nor diffusers' imports at first use serve two threads at a time
            aboard(self._resumed(task) or self._flight(task, [None] * task.request.n))

    def wait(self, seconds: float) -> None:
        """For who boards at this moment, if anyone does, and for so long at most."""
        if self._lock.acquire(timeout=seconds):
            self._lock.release()

    def _resumed(self, task: Task) -> Flight | None:
        if task.resumes is None:
            return None
        try:
            return self._flight(task, task.resumes.unpacked(self.models[task.request.model].device))
        except Exception as error:
            log.warning("task %s begins anew, its checkpoint does not fit", task.id, exc_info=error, extra=task.labels)
            return None

    def _flight(self, task: Task, states: Sequence[dict[str, Any] | None]) -> Flight:
        """With a lane for each image, from its state on; None is the beginning."""
        trajectories = self._trajectories(task)
        for trajectory, state in zip(trajectories, states, strict=True):
            if state is not None:
                trajectory.restore(state)
        return Flight(task, [Lane(trajectory, index) for index, trajectory in enumerate(trajectories)], self._decoder)

    def _trajectories(self, task: Task) -> list[Trajectory]:
        request = task.request
        model = self.models[request.model]
        conditions = self._encoder.conditions(model, request, self.models)
        source = self._encoder.source(model, request)
        assert request.seed is not None and request.width is not None and request.height is not None
        shape = model.shape(request.width, request.height)
        return [
            Trajectory(
                model, request.guidance, request.sampler, conditions, shape, seed, request.diagnostics, source=source
            )
            for seed in range(request.seed, request.seed + request.n)
        ]
