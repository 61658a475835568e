"""Perturbations: additive terms against a weakened prediction. The union is the registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from guidance.perturbations.autoguidance import AutoguidanceTerm
from guidance.perturbations.base import Perturbation
from guidance.perturbations.pag import PAG
from guidance.perturbations.sag import SAG
from guidance.perturbations.seg import SEG
from guidance.perturbations.skip_layer import SkipLayer
from guidance.perturbations.tsg import TSG

AnyPerturbation = Annotated[
    AutoguidanceTerm | PAG | SAG | SEG | SkipLayer | TSG,
    Field(discriminator="type"),
]

__all__ = ["PAG", "SAG", "SEG", "TSG", "AnyPerturbation", "AutoguidanceTerm", "Perturbation", "SkipLayer"]
