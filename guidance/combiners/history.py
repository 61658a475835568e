"""What a combiner remembers of the steps before, in the memory of the trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from guidance.memory import remembered
from guidance.protocol import Step

if TYPE_CHECKING:
    from torch import Tensor


@remembered
@dataclass(frozen=True, eq=False)
class Kept:
    sigma: float
    """Where the step began that kept it."""
    seen: Tensor | None
    """What that step recalled, which a second evaluation of it must see again."""
    value: Tensor


def recall(step: Step, name: str) -> Tensor | None:
    """What `keep` was given at the step before. None at the first, and after a rise of the noise level.

    Both evaluations of a second-order solver see the same past: one step of the solver is one step of the history.
    """
    kept: Kept | None = step.memory.get(name)
    if kept is None or step.start.ratio > kept.sigma:
        return None
    return kept.seen if step.call else kept.value


def keep(step: Step, name: str, value: Tensor) -> None:
    """Remember `value` for the next step, from the first evaluation of this one."""
    if step.call == 0:
        step.memory[name] = Kept(step.start.ratio, recall(step, name), value)
