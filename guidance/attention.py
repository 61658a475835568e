"""What one row of a batch asks of the network's attention: data in a branch, carried out by the model adapter.

Layers are named by where they are: `down.0.0`, `mid.0`, `up.1.0`. A name stands for every layer that it begins, so
`mid` is all of the middle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def begins(pattern: str, layer: str) -> bool:
    """Whether `pattern` names `layer` or a part of the network that holds it."""
    return layer == pattern or layer.startswith(pattern + ".")


@dataclass(frozen=True, eq=False)
class Edit:
    """A change of, or a look at, the attention layers that `layers` name."""

    layers: tuple[str, ...]

    def covers(self, layer: str) -> bool:
        return any(begins(pattern, layer) for pattern in self.layers)


@dataclass(frozen=True, eq=False)
class IdentityAttention(Edit):
    """Self-attention returns its values: every token looks at itself alone."""


@dataclass(frozen=True, eq=False)
class BlurredQueries(Edit):
    """Self-attention's queries are blurred over the token grid. `sigma` in tokens; infinite is their mean."""

    sigma: float


@dataclass(frozen=True, eq=False)
class SkippedBlock(Edit):
    """The transformer blocks pass their input on."""


@dataclass(frozen=True, eq=False)
class NegativeAttention(Edit):
    """Cross-attention extrapolates from a negative condition `text` (1, tokens, features), capped in length."""

    text: Tensor
    scale: float
    cap: float
    blend: float


@dataclass(frozen=True, eq=False)
class Captured:
    """Attention probabilities of one layer, averaged over heads: rows are the latent's tokens."""

    layer: str
    self_map: Tensor
    """(tokens, tokens)"""
    cross_map: Tensor
    """(tokens, text tokens)"""


@dataclass(frozen=True, eq=False)
class Capture(Edit):
    """A look at the attention maps, left in `maps` by the model when the branch is evaluated.

    Of layers at least `ratio` times coarser than the latent, or of the coarsest there are: fine maps are large.
    """

    ratio: int = 1
    maps: list[Captured] = field(default_factory=list)


def captured(edits: Iterable[Edit], layers: tuple[str, ...], ratio: int = 1) -> Capture:
    """The look at `layers` from `ratio` on that is among the edits of a branch."""
    looks = [edit for edit in edits if isinstance(edit, Capture)]
    return next(edit for edit in looks if edit.layers == layers and edit.ratio == ratio)


def unknown(patterns: Iterable[str], layers: Iterable[str]) -> list[str]:
    """The patterns that name none of `layers`."""
    known = list(layers)
    return [pattern for pattern in patterns if not any(begins(pattern, layer) for layer in known)]
