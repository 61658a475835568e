"""Weight schedules: the guidance weight of each step. The union is the registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from guidance.schedules.base import Schedule
from guidance.schedules.beta import Beta
from guidance.schedules.clamp_cosine import ClampCosine
from guidance.schedules.clamp_linear import ClampLinear
from guidance.schedules.constant import Constant
from guidance.schedules.cosine import Cosine
from guidance.schedules.dynamic_cfg import DynamicCFG
from guidance.schedules.interval import Interval
from guidance.schedules.inverse_linear import InverseLinear
from guidance.schedules.lambda_shape import LambdaShape
from guidance.schedules.linear import Linear
from guidance.schedules.per_step import PerStep
from guidance.schedules.piecewise import Piecewise
from guidance.schedules.power_cosine import PowerCosine
from guidance.schedules.sine import Sine
from guidance.schedules.truncated import Truncated
from guidance.schedules.v_shape import VShape
from guidance.schedules.wang_cosine import WangCosine
from guidance.schedules.warmup_cosine import WarmupCosine
from guidance.schedules.weights import Weight

AnySchedule = Annotated[
    Beta
    | ClampCosine
    | ClampLinear
    | Constant
    | Cosine
    | DynamicCFG
    | Interval
    | InverseLinear
    | LambdaShape
    | Linear
    | PerStep
    | Piecewise
    | PowerCosine
    | Sine
    | Truncated
    | VShape
    | WangCosine
    | WarmupCosine,
    Field(discriminator="type"),
]

__all__ = [
    "AnySchedule",
    "Beta",
    "ClampCosine",
    "ClampLinear",
    "Constant",
    "Cosine",
    "DynamicCFG",
    "Interval",
    "InverseLinear",
    "LambdaShape",
    "Linear",
    "PerStep",
    "Piecewise",
    "PowerCosine",
    "Schedule",
    "Sine",
    "Truncated",
    "VShape",
    "WangCosine",
    "WarmupCosine",
    "Weight",
]
