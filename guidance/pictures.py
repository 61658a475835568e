"""Pictures of a trajectory: maps over the latent's cells that a method leaves beside its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from guidance.memory import remembered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True)
class Meaning:
    """What a picture is called and what its values say."""

    title: str
    text: str
    neutral: float | None = None
    """The value that changes nothing, where there is one."""


PICTURES = {
    "sag_mask": Meaning("SAG's mask", "where the denoised estimate is blurred"),
    "segments": Meaning("Segments", "the prompt's token that each cell of the latent attends to most"),
    "weight_factor": Meaning("Weight factor", "factor on the guidance weight in each cell of the latent", neutral=1.0),
}
"""Every picture with its meaning."""

START, END, PADDING = "<start>", "<end>", "<padding>"
"""What the tokens around a text's words are called."""


@remembered
@dataclass(frozen=True, eq=False)
class Picture:
    """What a method leaves: `cells` (H, W), on the device, never changed after."""

    cells: Tensor
    names: tuple[str, ...] = ()
    """Where the cells hold places in a list, the list; empty where they hold quantities."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture at one step, on the host."""

    step: int
    sigma: float
    """sigma / alpha"""
    cells: NDArray[np.float32]
    names: tuple[str, ...] = ()
