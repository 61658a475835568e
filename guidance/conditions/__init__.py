"""Condition transforms: what happens to the condition before it is used. The union is the registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from guidance.conditions.base import ConditionTransform
from guidance.conditions.cads import CADS
from guidance.conditions.nag import NAG
from guidance.conditions.swap import Swap

AnyCondition = Annotated[
    CADS | NAG | Swap,
    Field(discriminator="type"),
]

__all__ = ["CADS", "NAG", "AnyCondition", "ConditionTransform", "Swap"]
