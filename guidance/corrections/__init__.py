"""Corrections: what happens to the guided prediction. The union is the registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from guidance.corrections.base import Correction
from guidance.corrections.dynamic_threshold import DynamicThreshold
from guidance.corrections.rescale import Rescale
from guidance.corrections.static_threshold import StaticThreshold

AnyCorrection = Annotated[
    DynamicThreshold | Rescale | StaticThreshold,
    Field(discriminator="type"),
]

__all__ = ["AnyCorrection", "Correction", "DynamicThreshold", "Rescale", "StaticThreshold"]
