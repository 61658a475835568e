"""A class of the clean picture, told by a classifier. Yu et al. 2023 (FreeDoM), arXiv:2303.09833, section 4.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance.losses.base import ClassName, Clean, Loss, indices
from guidance.noise import Level

if TYPE_CHECKING:
    from torch import Tensor


class Label(Loss):
    """How unlikely the classes are for the clean picture: -ln p(class | x0), summed over them.

    The model's own classifier reads the denoised estimate, at the cleanest level that it knows.
    """

    paper: ClassVar[str] = "Yu et al. 2023, arXiv:2303.09833"
    requires: ClassVar[frozenset[str]] = frozenset({"classifier"})

    type: Literal["label"] = "label"
    labels: tuple[ClassName, ...] = Field(
        min_length=1, max_length=8, description="classes that the model tells apart (GET /v1/models), by name or index"
    )

    def classes(self) -> Sequence[ClassName]:
        return self.labels

    def value(self, clean: Clean) -> Tensor:
        info = clean.model.info
        cleanest = Level.variance_preserving(0.0, float(info.noise.ratios[0]))
        chosen = indices(self.labels, info.classes)
        return -clean.model.log_probability(cleanest.alpha * clean.sample, cleanest, chosen)
