"""Energies: gradients of classifiers and of losses, added to what guidance predicts. The union is the registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from guidance.energies.base import Effect, Energy, Estimate
from guidance.energies.classifier import Classifier
from guidance.energies.dps import DPS
from guidance.energies.lgd_mc import LGDMC
from guidance.energies.mpgd import MPGD
from guidance.energies.universal import Universal

AnyEnergy = Annotated[
    Classifier | DPS | LGDMC | MPGD | Universal,
    Field(discriminator="type"),
]

__all__ = ["DPS", "LGDMC", "MPGD", "AnyEnergy", "Classifier", "Effect", "Energy", "Estimate", "Universal"]
