"""Weight schedules: the guidance weight of each step. The union is the registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from guidance.schedules.base import Schedule
from guidance.schedules.constant import Constant
from guidance.schedules.cosine import Cosine
from guidance.schedules.interval import Interval
from guidance.schedules.linear import Linear
from guidance.schedules.warmup_cosine import WarmupCosine

AnySchedule = Annotated[
    Constant | Cosine | Interval | Linear | WarmupCosine,
    Field(discriminator="type"),
]

__all__ = ["AnySchedule", "Constant", "Cosine", "Interval", "Linear", "Schedule", "WarmupCosine"]
