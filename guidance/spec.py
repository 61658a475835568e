"""The guidance spec: a composition of stages, and the combinations that contradict each other."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Any, Self

from pydantic import Field, TypeAdapter, ValidationInfo, field_validator, model_validator

from guidance.asked import Asked
from guidance.combiners import CFG, AnyCombiner
from guidance.conditions import AnyCondition
from guidance.corrections import AnyCorrection
from guidance.energies import AnyEnergy
from guidance.perturbations import AnyPerturbation
from guidance.presets import PRESETS
from guidance.prompted import Wanted
from guidance.reuse import AnyReuse
from guidance.schedules import AnySchedule
from guidance.schedules.weights import in_another_convention
from guidance.stage import Stage
from guidance.time_travel import TimeTravel

_SCHEDULES: TypeAdapter[AnySchedule] = TypeAdapter(AnySchedule)  # takes a millisecond to make


def _default_schedule(validated: dict[str, Any]) -> AnySchedule:
    combiner = validated.get("combiner", CFG())  # absent when it failed to validate, which is reported anyway
    return _SCHEDULES.validate_python(combiner.default_schedule)


NULLABLE = ("preset", "travel", "reuse")
"""Fields where null is as good as nothing: a preset still fills them."""


class GuidanceSpec(Asked):
    """How a trajectory is guided: one combiner, its weight schedule, and what happens before and after.

    A preset fills the stages that the spec does not name. A spec without a schedule gets its combiner's default, so
    that a resolved spec says everything.
    """

    preset: str | None = Field(None, description="name of published settings (GET /v1/guidance lists them)")
    combiner: AnyCombiner = Field(default_factory=CFG)
    schedule: AnySchedule = Field(default_factory=_default_schedule, description="left out: the combiner's default")
    condition: list[AnyCondition] = Field(default_factory=list, max_length=4)
    perturbation: list[AnyPerturbation] = Field(default_factory=list, max_length=4)
    correction: list[AnyCorrection] = Field(default_factory=list, max_length=4)
    energy: list[AnyEnergy] = Field(default_factory=list, max_length=4)
    travel: TimeTravel | None = Field(None, description="steps taken again from noise put back")
    reuse: AnyReuse | None = Field(None, description="evaluations left out where earlier ones make up for them")

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        filled = {key: value for key, value in data.items() if value is not None or key not in NULLABLE}
        if isinstance(name := filled.get("preset"), str):  # anything else fails its own field
            if name not in PRESETS:
                raise ValueError(f"preset {name!r} is unknown; there are {', '.join(sorted(PRESETS))}")
            filled = PRESETS[name].guidance | filled
        return filled

    @field_validator("schedule", mode="before")
    @classmethod
    def _in_a_convention_of_the_combiner(cls, raw: Any, info: ValidationInfo) -> Any:
        combiner = info.data.get("combiner")
        if combiner is not None and not combiner.cfg_weight and in_another_convention(raw):
            raise ValueError(f"the weight of {combiner.type} is not CFG's w: give the number itself, not w - 1")
        return raw

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("condition", "perturbation", "correction", "energy"):
            _refuse_repeats(name, getattr(self, name))
        descents = [energy.type for energy in self.energy if energy.descends]
        if len(descents) > 1:
            raise ValueError(f"{' and '.join(descents)} both descend losses: give all the losses to one of them")
        self._refuse_reuse()
        self._refuse_companions()
        self._refuse_changes_of_what_is_tracked()
        normalisers = [f"correction {c.type}" for c in self.correction if c.normalises]
        normalisers += [f"combiner {self.combiner.type}"] * self.combiner.normalises
        if len(normalisers) > 1:
            raise ValueError(f"{' and '.join(normalisers)} both set the length of the prediction: keep one")
        return self

    def _refuse_reuse(self) -> None:
        """ValueError where a stage reads what the reuse leaves out, or changes what it keeps."""
        if self.reuse is None:
            return
        name = f"reuse {self.reuse.type}"
        if self.reuse.combiners is not None and self.combiner.type not in self.reuse.combiners:
            raise ValueError(f"{name} is defined for {', '.join(self.reuse.combiners)}, not for {self.combiner.type}")
        for correction in self.correction:
            if "uncond" in correction.needs:
                raise ValueError(f"{name} leaves out the unconditional prediction, which {correction.type} reads")
        for energy in self.energy:
            if energy.through_network:
                raise ValueError(f"{name} leaves out evaluations that the gradient of {energy.type} goes back through")
        for transform in self.condition:
            if transform.type == "swap":
                raise ValueError(f"{name} carries over what the condition was before {transform.type} changes it")

    def _refuse_companions(self) -> None:
        """ValueError where a model beside the request's own would not be told what that is told."""
        for transform in self.condition:
            if transform.type == "cads" and self.companions:
                raise ValueError(
                    f"condition {transform.type} adds noise to an embedding that {', '.join(self.companions)} has not"
                )

    def _refuse_changes_of_what_is_tracked(self) -> None:
        """ValueError where the combiner follows the condition over the steps, and a stage changes or forgets that."""
        if not self.combiner.tracks_condition:
            return
        name = f"combiner {self.combiner.type}"
        if self.reuse is not None:
            raise ValueError(
                f"{name} and reuse {self.reuse.type} both decide on the way how strongly to guide: keep one"
            )
        for transform in self.condition:
            if transform.type == "swap":
                raise ValueError(f"{name} carries over what the condition was before {transform.type} changes it")

    def stages(self) -> list[tuple[str, Stage]]:
        """Every stage with its JSON pointer within the spec, e.g. ("/correction/0", Rescale(...))."""
        return [
            ("/combiner", self.combiner),
            ("/schedule", self.schedule),
            *((f"/condition/{i}", stage) for i, stage in enumerate(self.condition)),
            *((f"/perturbation/{i}", stage) for i, stage in enumerate(self.perturbation)),
            *([("/reuse", self.reuse)] if self.reuse else []),
            *((f"/correction/{i}", stage) for i, stage in enumerate(self.correction)),
            *((f"/energy/{i}", stage) for i, stage in enumerate(self.energy)),
            *([("/travel", self.travel)] if self.travel else []),
        ]

    @property
    def wanted(self) -> list[Wanted]:
        """The conditions that its stages name, each once."""
        return list(dict.fromkeys(wanted for _, stage in self.stages() for wanted in stage.wanted().values()))

    @property
    def companions(self) -> list[str]:
        """Ids of the models that its stages ask beside the request's own, each once."""
        return list(dict.fromkeys(id for _, stage in self.stages() for id in stage.companions().values()))

    @property
    def deciders(self) -> str:
        """Stages that decide on the way how much is evaluated, joined by +: then the plan is the most there can be."""
        stages = [self.combiner, *([self.reuse] if self.reuse else [])]
        return "+".join(stage.type for stage in stages if stage.data_dependent)

    @cached_property
    def needs(self) -> frozenset[str]:
        """Branches that the corrections and energies read."""
        return frozenset[str]().union(*(stage.needs for stage in (*self.correction, *self.energy)))


def _refuse_repeats(name: str, stages: list[Any]) -> None:
    for kind, times in Counter(stage.type for stage in stages).items():
        if times > 1:
            raise ValueError(f"{name} names {kind} {times} times; once is the most")
