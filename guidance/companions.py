"""Models that a spec asks beside the request's own, checked before anything is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from guidance.info import ModelInfo, Problem
from guidance.spec import GuidanceSpec

TOLD = {"text": "prompt", "label": "label"}


def companion_problems(
    guidance: GuidanceSpec, info: ModelInfo, beside: Mapping[str, ModelInfo], size: tuple[int, int] | None = None
) -> list[Problem]:
    """Which of the models that the spec names cannot be asked beside `info`, and why.

    `beside` are those that are served together with it; `size` is the image's width and height, where it is known.
    """
    found = []
    for pointer, stage in guidance.stages():
        for place, id in stage.companions().items():
            at = f"/guidance{pointer}{place}"
            others = sorted(beside.keys() - {info.id})
            if id == info.id:
                detail = f"model = {id}: the request's own model is no other than itself"
                found.append(Problem(at, "same_model", detail))
            elif id not in beside:
                there = f"there is {', '.join(others)}" if others else "there is none"
                found.append(Problem(at, "unknown_model", f"model = {id!r} is not served beside {info.id}; {there}"))
            else:
                reasons = unsuitable(info, beside[id], size)
                found += [Problem(at, "unsuitable_model", f"model = {id}: {reason}") for reason in reasons]
    return found


def unsuitable(info: ModelInfo, other: ModelInfo, size: tuple[int, int] | None) -> Iterator[str]:
    """Why `other` cannot be asked about the noisy samples and conditions of `info`."""
    if other.sample_space != info.sample_space:
        yield f"its samples are {other.sample_space}, and those of {info.id} are {info.sample_space}"
    if not np.array_equal(other.noise.ratios, info.noise.ratios):
        yield f"its noise levels are not those of {info.id}"
    elif other.prediction_type == "eps" != info.prediction_type and np.isinf(info.noise.ratios[-1]):
        yield f"it predicts noise, which says nothing of the picture at zero signal, where {info.id} begins"
    if other.condition != info.condition:
        yield f"it takes a {TOLD[other.condition]}, and {info.id} a {TOLD[info.condition]}"
    elif other.labels != info.labels:
        yield f"its labels are not those of {info.id}"
    if size is not None:
        yield from (problem.detail for problem in other.size_problems(*size))
