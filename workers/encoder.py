"""Conditions of requests, remembered: apps repeat prompts, and every request has the same empty one."""

from __future__ import annotations

from collections import OrderedDict

from guidance.inversion import Source, inversion_spec
from guidance.models.base import Model
from guidance.picture import pixels
from guidance.prompted import Wanted
from guidance.protocol import Condition, Conditions
from jobs.request import GenerationRequest

REMEMBERED = 512


class Encoder:
    """Encodes prompts and labels, the least recently used forgotten first."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._known: OrderedDict[tuple[str, Wanted], Condition] = OrderedDict()

    def conditions(self, model: Model, request: GenerationRequest) -> Conditions:
        """The request's condition, its null or negative one, and those that its guidance names."""
        own = request.prompt if request.label is None else request.label
        return Conditions(
            cond=self._encoded(model, own),
            uncond=self._encoded(model, request.negative_prompt or None),
            others={wanted: self._encoded(model, wanted) for wanted in request.guidance.wanted},
        )

    def source(self, model: Model, request: GenerationRequest) -> Source | None:
        """What the request begins from, as the model sees it."""
        if (asked := request.source) is None:
            return None
        own = request.prompt if request.label is None else request.label
        return Source(
            clean=model.encode_picture(pixels(asked.image)),
            cond=self._encoded(model, own if asked.wanted is None else asked.wanted),
            guidance=inversion_spec(request.guidance, asked.weight),
        )

    def _encoded(self, model: Model, wanted: Wanted) -> Condition:
        key = (model.info.id, wanted)
        if key not in self._known:
            self._known[key] = model.label(wanted) if isinstance(wanted, int) else model.encode(wanted)
            if len(self._known) > self._remembered:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]
