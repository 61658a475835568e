"""Corrections: what happens to the guided prediction. The union is the registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from guidance.corrections.base import Correction
from guidance.corrections.dynamic_threshold import DynamicThreshold
from guidance.corrections.mimic_threshold import MimicThreshold
from guidance.corrections.momentum import Momentum
from guidance.corrections.renorm import Renorm
from guidance.corrections.rescale import Rescale
from guidance.corrections.static_threshold import StaticThreshold
from guidance.corrections.tag import TAG

AnyCorrection = Annotated[
    DynamicThreshold | MimicThreshold | Momentum | Renorm | Rescale | StaticThreshold | TAG,
    Field(discriminator="type"),
]

__all__ = [
    "TAG",
    "AnyCorrection",
    "Correction",
    "DynamicThreshold",
    "MimicThreshold",
    "Momentum",
    "Renorm",
    "Rescale",
    "StaticThreshold",
]
