"""Every stage and preset, as data: behind `GET /v1/guidance`, `guidepost methods` and the generated docs."""

from __future__ import annotations

from typing import Any, get_args

from guidance.combiners import AnyCombiner
from guidance.conditions import AnyCondition
from guidance.corrections import AnyCorrection
from guidance.presets import PRESETS
from guidance.samplers import AnySampler
from guidance.schedules import AnySchedule
from guidance.stage import Stage

UNIONS: dict[str, Any] = {
    "schedule": AnySchedule,
    "condition": AnyCondition,
    "combiner": AnyCombiner,
    "correction": AnyCorrection,
    "sampler": AnySampler,
}


def members(stage: str) -> list[type[Stage]]:
    """The methods registered in the union of `stage`, in its order."""
    union = UNIONS[stage]
    if isinstance(union, type):  # a union of one
        return [union]
    return list(get_args(get_args(union)[0]))


def catalogue() -> dict[str, Any]:
    """Stage name -> what there is to ask for; and the presets."""
    listed: dict[str, Any] = {stage: [method.catalogue_entry() for method in members(stage)] for stage in UNIONS}
    listed["presets"] = [
        {"name": name, "summary": preset.summary, "paper": preset.paper, "guidance": preset.guidance}
        for name, preset in PRESETS.items()
    ]
    return listed
