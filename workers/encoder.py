"""Conditions of requests, remembered: apps repeat prompts, and every request has the same empty one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

from guidance.inversion import Source, inversion_spec
from guidance.models.base import Model
from guidance.picture import pixels
from guidance.prompted import Wanted
from guidance.protocol import Companion, Condition, Conditions
from jobs.request import GenerationRequest

REMEMBERED = 512


class Encoder:
    """Encodes prompts and labels, the least recently used forgotten first."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._known: OrderedDict[tuple[str, Wanted], Condition] = OrderedDict()

    def conditions(
        self, model: Model, request: GenerationRequest, models: Mapping[str, Model] | None = None
    ) -> Conditions:
        """The request's condition, its null or negative one, and those that its guidance names.

        Each as `model` is told it, and as those of `models` are that the guidance asks beside it.
        """
        own = request.prompt if request.label is None else request.label
        beside = {id: (models or {})[id] for id in request.guidance.companions}

        def told(wanted: Wanted) -> Condition:
            condition = self._encoded(model, wanted)
            elsewhere = {
                id: replace(self._encoded(other, wanted), model=Companion(id, other.info.prediction_type))
                for id, other in beside.items()
            }
            return replace(condition, elsewhere=elsewhere) if elsewhere else condition

        return Conditions(
            cond=told(own),
            uncond=told(request.negative_prompt or None),
            others={wanted: told(wanted) for wanted in request.guidance.wanted},
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
