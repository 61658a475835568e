"""Conditions of requests, remembered: apps repeat prompts, and every request has the same empty one."""

from __future__ import annotations

from collections import OrderedDict

from guidance.models.base import Model
from guidance.protocol import Condition
from jobs.request import GenerationRequest

REMEMBERED = 512


class Encoder:
    """Encodes prompts and labels, the least recently used forgotten first."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._known: OrderedDict[tuple[str, str | int | None], Condition] = OrderedDict()

    def conditions(self, model: Model, request: GenerationRequest) -> tuple[Condition, Condition]:
        """(condition, null or negative condition) of a request."""
        wanted = request.prompt if request.label is None else request.label
        return self._encoded(model, wanted), self._encoded(model, request.negative_prompt or None)

    def _encoded(self, model: Model, wanted: str | int | None) -> Condition:
        key = (model.info.id, wanted)
        if key not in self._known:
            self._known[key] = model.label(wanted) if isinstance(wanted, int) else model.encode(wanted)
            if len(self._known) > self._remembered:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]
