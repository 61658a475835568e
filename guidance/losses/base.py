"""What every loss of a clean picture is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field
from typing_extensions import TypeAliasType

from guidance.losses.augmentation import Augmentation
from guidance.stage import Stage

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from guidance.models.base import Model

ClassName = TypeAliasType("ClassName", str | int)
"""A class of a model's noise-aware classifier: its name, or its index."""


@dataclass(frozen=True, eq=False)
class Clean:
    """A denoised estimate (N, C, H, W), as losses read it; differentiable where gradients are on.

    With an augmentation N is 1, and what is read are random changes of it, as many as there are copies.
    """

    estimate: Tensor
    model: Model
    augmentation: Augmentation | None = None
    generator: Generator | None = None

    @cached_property
    def sample(self) -> Tensor:
        """In the model's own space, (N, C, H, W)."""
        return self._changed(self.estimate, of_pixels=False)

    @cached_property
    def pixels(self) -> Tensor:
        """(N, 3, H, W), about [-1, 1], not clipped: a clipped pixel has no gradient."""
        return self._changed(self.model.decode(self.estimate) * 2 - 1, of_pixels=True)

    def _changed(self, image: Tensor, of_pixels: bool) -> Tensor:
        if self.augmentation is None or self.generator is None:
            return image
        return self.augmentation.applied(image, self.generator, of_pixels)


class Loss(Stage):
    """How far a clean picture is from what is wanted: an energy, so that exp(-loss) is a likelihood."""

    aligned: ClassVar[bool] = False
    """Whether it compares place by place, which an augmentation that moves the picture would spoil."""

    weight: float = Field(1.0, gt=0, le=1e6, description="in the sum of the losses")

    @abstractmethod
    def value(self, clean: Clean) -> Tensor:
        """(N,): one number a row, unweighted."""

    def classes(self) -> Sequence[ClassName]:
        """The classes of the model's classifier that it names, in the order of its field `labels`."""
        return ()

    def pictures(self) -> dict[str, tuple[str, int]]:
        """Its pictures by field: data URL, and how many times smaller than the image it must be."""
        return {}


def indices(named: Sequence[ClassName], known: Sequence[str]) -> list[int]:
    """Places of classes among those a model knows. ValueError for one that it does not know."""
    return [name if isinstance(name, int) else known.index(name) for name in named]
