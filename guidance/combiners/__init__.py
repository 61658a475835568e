"""Combiners: which branches are evaluated and how they become one guided prediction. The union is the registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from guidance.combiners.base import Combiner
from guidance.combiners.base_norm import BaseNorm
from guidance.combiners.cfg import CFG
from guidance.combiners.cfgpp import CFGpp
from guidance.combiners.characteristic import Characteristic
from guidance.combiners.composable import Composable
from guidance.combiners.full_norm import FullNorm
from guidance.combiners.icg import ICG
from guidance.combiners.perp_neg import PerpNeg
from guidance.combiners.s_cfg import SCFG
from guidance.combiners.sega import SEGA
from guidance.combiners.t_norm import TNorm

AnyCombiner = Annotated[
    BaseNorm | CFG | CFGpp | Characteristic | Composable | FullNorm | ICG | PerpNeg | SCFG | SEGA | TNorm,
    Field(discriminator="type"),
]

__all__ = [
    "CFG",
    "ICG",
    "SCFG",
    "SEGA",
    "AnyCombiner",
    "BaseNorm",
    "CFGpp",
    "Characteristic",
    "Combiner",
    "Composable",
    "FullNorm",
    "PerpNeg",
    "TNorm",
]
