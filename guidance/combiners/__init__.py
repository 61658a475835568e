"""Combiners: which branches are evaluated and how they become one guided prediction. The union is the registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from guidance.combiners.base import Combiner
from guidance.combiners.base_norm import BaseNorm
from guidance.combiners.cfg import CFG
from guidance.combiners.characteristic import Characteristic
from guidance.combiners.full_norm import FullNorm
from guidance.combiners.t_norm import TNorm

AnyCombiner = Annotated[
    BaseNorm | CFG | Characteristic | FullNorm | TNorm,
    Field(discriminator="type"),
]

__all__ = ["CFG", "AnyCombiner", "BaseNorm", "Characteristic", "Combiner", "FullNorm", "TNorm"]
