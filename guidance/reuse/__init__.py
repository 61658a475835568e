"""Reuse: evaluations left out where earlier ones make up for them. The union is the registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from guidance.reuse.adaptive import Adaptive
from guidance.reuse.base import Reuse
from guidance.reuse.cache import Cache

AnyReuse = Annotated[
    Adaptive | Cache,
    Field(discriminator="type"),
]

__all__ = ["Adaptive", "AnyReuse", "Cache", "Reuse"]
