"""How many network evaluations a spec comes to: what queues and quotas count."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from guidance.info import ModelInfo
from guidance.plan import plan
from guidance.samplers import AnySampler
from guidance.spec import GuidanceSpec

REMEMBERED = 1024
"""Specs: clients ask for the same ones again and again, and a plan takes longer than all the rest of checking."""
LONGEST = 4096
"""Characters of a spec that is remembered. Longer ones hold pictures."""


@dataclass(frozen=True, slots=True)
class Course:
    """What a plan follows from, and the text that says all of it."""

    text: str
    guidance: GuidanceSpec = field(compare=False)
    sampler: AnySampler = field(compare=False)
    info: ModelInfo = field(compare=False)


def evaluations(guidance: GuidanceSpec, sampler: AnySampler, info: ModelInfo) -> int:
    """Network evaluations for one image, at most."""
    text = "\n".join(part.model_dump_json() for part in (guidance, sampler, info.noise))
    course = Course(text, guidance, sampler, info)
    return _remembered(course) if len(text) <= LONGEST else _planned(course)


def _planned(course: Course) -> int:
    return plan(course.guidance, course.sampler, course.info).nfe


_remembered = lru_cache(REMEMBERED)(_planned)


def forget() -> None:
    """Plan everything anew."""
    _remembered.cache_clear()
