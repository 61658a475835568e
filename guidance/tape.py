"""Reverse mode through a coroutine: gradients with respect to the noisy sample, through the network and around it.

    guided = yield from tape.record(guiding)        # network answers become leaves of the recorded graph
    gradient = yield from tape.gradient(loss)       # each branch is asked once more, with its answer's cotangent

The network is never part of the graph: its share of the chain rule is asked as branches that carry a cotangent
(`Branch.pull`), which the driver batches like any other. That costs its forward once more and keeps nothing of it in
memory between steps, as gradient checkpointing does. Answers may feed the inputs of later ones: rounds are walked
backwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from guidance.protocol import Asking, Branch, T

if TYPE_CHECKING:
    from torch import Tensor


class Tape:
    """What one guided evaluation did to `x`, the noisy sample (1, C, H, W).

    Raises RuntimeError under inference mode, where nothing is recorded and every gradient would be zero.
    """

    def __init__(self, x: Tensor) -> None:
        from torch import is_inference_mode_enabled

        if is_inference_mode_enabled():
            raise RuntimeError("guidance by gradients needs torch.no_grad(), not torch.inference_mode()")
        self.x = x.detach().clone().requires_grad_()
        self._rounds: list[tuple[list[Branch], list[Tensor]]] = []

    def record(self, asking: Asking[T]) -> Asking[T]:
        """Run `asking`, whose branches are at `self.x` or at what it made of it."""
        from torch import enable_grad

        try:
            with enable_grad():
                branches = next(asking)
            while True:
                outputs = yield [replace(branch, x=branch.x.detach()) for branch in branches]
                leaves = [output.detach().clone().requires_grad_() for output in outputs]
                self._rounds.append((branches, leaves))
                with enable_grad():
                    branches = asking.send(leaves)
        except StopIteration as done:
            value: T = done.value
            return value
        finally:
            asking.close()

    def gradient(self, value: Tensor) -> Asking[Tensor]:
        """d value / d x (1, C, H, W) of a 0-dim `value` computed, with gradients on, from what was recorded."""
        from torch import ones_like

        tops, cotangents = [value], [ones_like(value)]
        for branches, answers in reversed(self._rounds):
            reached = [
                (branch, cotangent)
                for branch, cotangent in zip(branches, pulled(tops, answers, cotangents), strict=True)
                if cotangent is not None
            ]
            if reached:
                gradients = yield [question(branch, cotangent) for branch, cotangent in reached]
                tops += [branch.x for branch, _ in reached]
                cotangents += gradients
        [gradient] = pulled(tops, [self.x], cotangents)
        return self.x.new_zeros(self.x.shape) if gradient is None else gradient


def question(branch: Branch, cotangent: Tensor) -> Branch:
    """What the network is asked for its share of the chain rule. Looks at its attention were taken the first time."""
    return branch.another(f"{branch.name}:pull", x=branch.x.detach(), pull=cotangent)


def pulled(tops: list[Tensor], leaves: list[Tensor], cotangents: Iterable[Tensor]) -> list[Tensor | None]:
    """Sum over `tops` of the gradients of <top, cotangent>, for each leaf; None where no top depends on it."""
    from torch.autograd import grad

    known = [(top, cotangent) for top, cotangent in zip(tops, cotangents, strict=True) if top.requires_grad]
    if not known:
        return [None] * len(leaves)
    recorded, given = zip(*known, strict=True)
    return list(grad(recorded, leaves, given, retain_graph=True, allow_unused=True))


def cut(kept: Any) -> Any:
    """What outlives a step, without the graph that made it."""
    from torch import Tensor

    if isinstance(kept, Tensor):
        return kept.detach()
    if isinstance(kept, dict):
        return {name: cut(part) for name, part in kept.items()}
    if isinstance(kept, tuple):
        return tuple(cut(part) for part in kept)
    if is_dataclass(kept) and not isinstance(kept, type):
        return replace(kept, **{field.name: cut(getattr(kept, field.name)) for field in fields(kept)})
    return kept
