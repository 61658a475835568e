"""Combiners: which branches are evaluated and how they become one guided prediction. The union is the registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from guidance.combiners.adg import ADG
from guidance.combiners.apg import APG
from guidance.combiners.autoguidance import Autoguidance
from guidance.combiners.base import Combiner
from guidance.combiners.base_norm import BaseNorm
from guidance.combiners.beta_cfg import BetaCFG
from guidance.combiners.cfg import CFG
from guidance.combiners.cfg_zero import CFGZero
from guidance.combiners.cfgpp import CFGpp
from guidance.combiners.characteristic import Characteristic
from guidance.combiners.composable import Composable
from guidance.combiners.fbg import FBG
from guidance.combiners.fdg import FDG
from guidance.combiners.full_norm import FullNorm
from guidance.combiners.icg import ICG
from guidance.combiners.mambo_g import MAMBOG
from guidance.combiners.perp_neg import PerpNeg
from guidance.combiners.power_law import PowerLaw
from guidance.combiners.s_cfg import SCFG
from guidance.combiners.sega import SEGA
from guidance.combiners.smc import SMC
from guidance.combiners.t_norm import TNorm
from guidance.combiners.tcfg import TCFG

AnyCombiner = Annotated[
    ADG
    | APG
    | Autoguidance
    | BaseNorm
    | BetaCFG
    | CFG
    | CFGpp
    | CFGZero
    | Characteristic
    | Composable
    | FBG
    | FDG
    | FullNorm
    | ICG
    | MAMBOG
    | PerpNeg
    | PowerLaw
    | SCFG
    | SEGA
    | SMC
    | TCFG
    | TNorm,
    Field(discriminator="type"),
]

__all__ = [
    "ADG",
    "APG",
    "CFG",
    "FBG",
    "FDG",
    "ICG",
    "MAMBOG",
    "SCFG",
    "SEGA",
    "SMC",
    "TCFG",
    "AnyCombiner",
    "Autoguidance",
    "BaseNorm",
    "BetaCFG",
    "CFGZero",
    "CFGpp",
    "Characteristic",
    "Combiner",
    "Composable",
    "FullNorm",
    "PerpNeg",
    "PowerLaw",
    "TNorm",
]
