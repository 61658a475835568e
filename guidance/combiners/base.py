"""What every combiner is."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from guidance.protocol import Guide, Step
from guidance.stage import Space, Stage

if TYPE_CHECKING:
    from torch import Tensor

TINY = 1e-12
"""Keeps a division by a vanishing norm finite; far below any norm of float32 predictions that matters."""


class Combiner(Stage):
    """Which branches are evaluated at a step, and how they become one guided prediction."""

    space: ClassVar[Space] = "output"
    default_schedule: ClassVar[dict[str, Any]] = {"type": "constant", "weight": 5.0}
    """The schedule of a request that names none."""
    requires: ClassVar[frozenset[str]] = frozenset({"null_condition"})
    cfg_weight: ClassVar[bool] = True
    """Whether the weight is CFG's w, which other papers count as w - 1; else it is in no other convention."""
    normalises: ClassVar[bool] = False
    """Whether it sets the magnitude of the prediction; two stages that do contradict each other."""
    data_dependent: ClassVar[bool] = False
    """Whether the number of evaluations is decided on the way: then the planned number is the most there can be."""
    renoises: ClassVar[bool] = False
    """Whether the solver puts the noise of the unconditional prediction back, not that of the guided one."""

    tracks_condition: ClassVar[bool] = False
    """Whether it estimates over the steps how well x fits the condition, which then must stay what it is."""

    @abstractmethod
    def branches(self, weight: float) -> frozenset[str]:
        """Names of the branches evaluated at `weight`: what `guide` will ask for, known without a tensor."""

    def prepare(self, step: Step) -> Step:
        """The step as `guide` will see it: a place to ask more of its branches than their predictions."""
        return step

    def evaluations(self, asked: frozenset[str], weight: float, index: int, count: int) -> int:
        """How many evaluations a call of step `index` of `count` takes, at most, where the branches are `asked`."""
        return len(asked)

    @abstractmethod
    def guide(self, step: Step) -> Guide:
        """Yield branches, be sent their predictions in `space`, return the guided prediction in `space`."""

    def warnings(self, weights: list[float]) -> list[str]:
        """What a user should know of running this combiner at these weights."""
        return []

    @classmethod
    def catalogue_entry(cls) -> dict[str, Any]:
        return super().catalogue_entry() | {"space": cls.space, "default_schedule": cls.default_schedule}


def norm(tensor: Tensor) -> Tensor:
    """The Euclidean norm over everything but the batch, kept broadcastable: (1, C, H, W) -> (1, 1, 1, 1)."""
    length: Tensor = tensor.flatten(1).norm(dim=1)
    return length.view(-1, *[1] * (tensor.ndim - 1))
