"""The registry: every stage with the union of its methods, whose members are the methods there are."""

from __future__ import annotations

from typing import Any, get_args

from guidance.combiners import AnyCombiner
from guidance.conditions import AnyCondition
from guidance.corrections import AnyCorrection
from guidance.energies import AnyEnergy
from guidance.losses import AnyLoss
from guidance.perturbations import AnyPerturbation
from guidance.reuse import AnyReuse
from guidance.samplers import AnySampler
from guidance.schedules import AnySchedule
from guidance.stage import Stage
from guidance.time_travel import TimeTravel

UNIONS: dict[str, Any] = {
    "schedule": AnySchedule,
    "condition": AnyCondition,
    "combiner": AnyCombiner,
    "perturbation": AnyPerturbation,
    "correction": AnyCorrection,
    "energy": AnyEnergy,
    "loss": AnyLoss,
    "travel": TimeTravel,
    "reuse": AnyReuse,
    "sampler": AnySampler,
}


def members(stage: str) -> list[type[Stage]]:
    """The methods registered in the union of `stage`, in its order."""
    union = UNIONS[stage]
    if isinstance(union, type):  # a union of one
        return [union]
    return list(get_args(get_args(union)[0]))
