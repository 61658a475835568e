"""Losses of a clean picture, which energies descend. The union is the registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from guidance.losses.augmentation import Augmentation
from guidance.losses.base import ClassName, Clean, Loss, indices
from guidance.losses.colour import Colour
from guidance.losses.label import Label
from guidance.losses.match import Match

AnyLoss = Annotated[
    Colour | Label | Match,
    Field(discriminator="type"),
]

__all__ = ["AnyLoss", "Augmentation", "ClassName", "Clean", "Colour", "Label", "Loss", "Match", "indices"]
