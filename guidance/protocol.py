"""The coroutine protocol: a trajectory yields the network evaluations it needs and is sent their predictions.

    class CFG(Combiner):
        def guide(self, step):
            cond, uncond = yield [step.cond, step.uncond]
            return uncond + step.weight * (cond - uncond)

It never calls the network itself. Whoever drives it does: `drive` one trajectory alone, the engine many in one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from guidance.noise import Level
from guidance.prediction import Kind, Prediction
from guidance.stage import Space

if TYPE_CHECKING:
    from torch import Generator as Seeded
    from torch import Tensor

ZERO_SIGNAL = Level(0.0, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Condition:
    """What the network is told. `embeddings` are continuous and may be transformed; `given` are passed as they are.

    Each tensor is (1, ...): one row of the network's batch.
    """

    embeddings: Mapping[str, Tensor] = field(default_factory=dict)
    given: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Branch:
    """One network evaluation asked for: the noisy `x` (1, C, H, W) at `level` under `cond`. Answered by position."""

    name: str
    """`cond` and `uncond` are at the step's own x and level; a shifted or repeated one says which: `cond@2`."""
    x: Tensor
    level: Level
    cond: Condition


Guide = Generator[list[Branch], list["Tensor"], "Tensor"]
"""Yields branches, is sent their predictions in the method's space in the same order, returns the guided prediction."""

Guided = Generator[list[Branch], list["Tensor"], Prediction]
"""Yields branches, is sent raw network outputs, returns the guided prediction."""

Run = Generator[list[Branch], list["Tensor"], "Tensor"]
"""A whole trajectory: yields branches, is sent raw network outputs (1, C, H, W), returns the final sample."""


@dataclass(frozen=True, eq=False)
class Step:
    """What a method sees of one evaluation of a step."""

    index: int
    """Step number, from 0."""
    count: int
    """Number of steps."""
    call: int
    """Which evaluation of the step this is: 0, or 1 in a second-order solver's second evaluation."""
    weight: float
    """Guidance weight, read where the step began; 1 is the plain conditional model."""
    start: Level
    """The level at which the step began."""
    cond: Branch
    uncond: Branch
    generator: Seeded
    """Draws what conditions and combiners need of randomness; never shared with the solver's noise."""
    memory: dict[str, Any]
    """What a method keeps over the steps of one trajectory, under its own type name. Dies with the trajectory."""
    noisiest: Level = ZERO_SIGNAL
    """The last level of the model's noise table."""
    needs: frozenset[str] = frozenset()
    """Branches that later stages read, so that a shortcut must not leave them out."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Numbers (0-dim tensors or floats) that a method adds to the step's diagnostics."""

    @property
    def level(self) -> Level:
        return self.cond.level

    @property
    def progress(self) -> float:
        """0 at the first step, 1 at the last."""
        return self.index / (self.count - 1) if self.count > 1 else 1.0

    def with_condition(self, cond: Condition) -> Step:
        return replace(self, cond=replace(self.cond, cond=cond))


def in_space(guide: Guide, step: Step, space: Space, kind: Kind, seen: dict[str, Prediction]) -> Guided:
    """Run `guide`, which speaks `space`, against a network that answers in `kind`; note predictions in `seen` by name.

    A guide may ask for branches at any `x` and level, but answers for those of `step`.
    """
    try:
        branches = next(guide)
        while True:
            outputs = yield branches
            predictions = [Prediction(b.x, b.level, y, kind) for b, y in zip(branches, outputs, strict=True)]
            seen.update((b.name, p) for b, p in zip(branches, predictions, strict=True))
            branches = guide.send([p.view(space) for p in predictions])
    except StopIteration as done:
        return Prediction(step.cond.x, step.level, step.cond.x, kind).replaced(done.value, space)
    finally:
        guide.close()


def drive(run: Run, evaluate: Callable[[Sequence[Branch]], list[Tensor]]) -> Tensor:
    """Run one trajectory alone: the reference that the engine must reproduce."""
    try:
        branches = next(run)
        while True:
            branches = run.send(evaluate(branches))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    finally:
        run.close()
