"""Condition transforms: what happens to the condition before it is used. The union is the registry."""

from __future__ import annotations

from guidance.conditions.base import ConditionTransform
from guidance.conditions.cads import CADS

AnyCondition = CADS
"""A union of one; becomes `Annotated[... | ..., Field(discriminator="type")]` with the second."""

__all__ = ["CADS", "AnyCondition", "ConditionTransform"]
