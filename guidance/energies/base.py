"""What every energy is: a push down the gradient of an energy, -ln p(wanted | x), added to what guidance predicts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from guidance.losses import ClassName
from guidance.prediction import Prediction
from guidance.protocol import Asking, Step
from guidance.tape import Tape
from guidance.window import Windowed

if TYPE_CHECKING:
    from torch import Tensor

    from guidance.models.base import Model


@dataclass(frozen=True, eq=False)
class Estimate:
    """What an energy sees: the guided prediction of a step, as recorded."""

    step: Step
    guided: Prediction
    """Corrected; on the graph of `tape`."""
    seen: dict[str, Prediction]
    model: Model
    tape: Tape

    @property
    def denoised(self) -> Tensor:
        """The guided denoised estimate (1, C, H, W), off the graph."""
        return self.guided.denoised.detach()

    def gradient(self, energy: Callable[[Tensor], Tensor]) -> Asking[tuple[Tensor, Tensor]]:
        """Value, 0-dim, and gradient in x (1, C, H, W) of an energy of the denoised estimate: through the network."""
        from torch import enable_grad

        with enable_grad():
            value = energy(self.guided.denoised)
        gradient = yield from self.tape.gradient(value)
        return value.detach(), gradient


@dataclass(frozen=True, eq=False)
class Effect:
    """What an energy adds: to the denoised estimate before the solver's step, or to x after it. Each (1, C, H, W)."""

    denoised: Tensor | None = None
    after: Tensor | None = None


class Energy(Windowed):
    """Uses a gradient that no condition of the network gives: of a classifier, or of a loss of the clean picture."""

    descends: ClassVar[bool] = True
    """Whether it descends losses of the clean picture; one energy with all the losses does, not several."""

    @property
    def through_network(self) -> bool:
        """Whether its gradient goes back through the network: each evaluation of the call is asked for once more."""
        return False

    @property
    def moves(self) -> bool:
        """Whether it moves x after the solver's step, which not every solver lets happen."""
        return False

    @property
    def needs(self) -> frozenset[str]:
        """Branches that it reads beside the guided prediction."""
        return frozenset()

    def classes(self) -> dict[str, Sequence[ClassName]]:
        """The classes of the model's classifier that it names, by their field's JSON pointer within the stage."""
        return {}

    def pictures(self) -> dict[str, tuple[str, int]]:
        """Its pictures by JSON pointer within the stage: data URL, and how many times smaller than the image."""
        return {}

    @abstractmethod
    def act(self, estimate: Estimate) -> Asking[Effect]:
        """What it adds at this step. Yields branches that are answered with gradients (`Tape.gradient`)."""
