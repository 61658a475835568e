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
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from guidance.attention import Capture, Edit
from guidance.memory import remembered
from guidance.noise import CLEAN, ZERO_SIGNAL, Level
from guidance.pictures import Picture
from guidance.prediction import Kind, Prediction
from guidance.prompted import Wanted
from guidance.stage import Space

if TYPE_CHECKING:
    from torch import Generator as Seeded
    from torch import Tensor


@remembered
@dataclass(frozen=True)
class Companion:
    """A model that a request asks beside its own: a weaker one."""

    id: str
    kind: Kind
    """What it predicts."""


@remembered
@dataclass(frozen=True, eq=False)
class Condition:
    """What the network is told. `embeddings` are continuous and may be transformed; `given` are passed as they are.

    Each tensor is (1, ...): one row of the network's batch.
    """

    embeddings: Mapping[str, Tensor] = field(default_factory=dict)
    given: Mapping[str, Tensor] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    """What each text token says, for people; empty where there is no text."""
    model: Companion | None = None
    """The model that it is told to, and that a branch with it is asked of; None is the request's own."""
    elsewhere: Mapping[str, Condition] = field(default_factory=dict)
    """The same as it is told to other models, by their ids."""


@dataclass(frozen=True, eq=False)
class Conditions:
    """All that one request tells the network: its condition, the null or negative one, and what its stages name."""

    cond: Condition
    uncond: Condition
    others: Mapping[Wanted, Condition] = field(default_factory=dict)


@dataclass(frozen=True)
class TimeNoise:
    """Gaussian noise on the network's embedding of a time."""

    scale: float
    seed: int
    relative: bool = True
    """Whether the scale is in units of the embedding's own standard deviation."""


@dataclass(frozen=True, eq=False)
class Branch:
    """One network evaluation asked for: the noisy `x` (1, C, H, W) at `level` under `cond`. Answered by position."""

    name: str
    """`cond` and `uncond` are at the step's own x and level; a shifted or repeated one says which: `cond@2`."""
    x: Tensor
    level: Level
    cond: Condition
    time_noise: TimeNoise | None = None
    attention: tuple[Edit, ...] = ()
    """What this row asks of the network's attention."""
    pull: Tensor | None = None
    """A cotangent (1, C, H, W) of the output: then the answer is not the output but the gradient of <output, pull>
    with respect to x."""

    def edited(self, edit: Edit) -> Branch:
        """The same evaluation with one more change of its attention, or look at it."""
        return replace(self, attention=(*self.attention, edit))

    def another(self, name: str, **changes: Any) -> Branch:
        """A further evaluation, which differs from this one by `changes`. Looks at this one are not looks at that."""
        edits = tuple(edit for edit in self.attention if not isinstance(edit, Capture))
        return replace(self, name=name, attention=edits, **changes)


Guide = Generator[list[Branch], list["Tensor"], "Tensor"]
"""Yields branches, is sent their predictions in the method's space in the same order, returns the guided prediction."""

T = TypeVar("T")
Asking = Generator[list[Branch], list["Tensor"], T]
"""Yields branches, is sent raw network outputs, returns a T."""

Run = Asking["Tensor"]
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
    """What a method keeps over the steps of one trajectory, under its own type name. Dies with the trajectory.

    Values are replaced, never changed, and of types that `guidance.checkpoint` knows."""
    kept: float | None = None
    """Share of the predicted noise that the solver's step keeps; None where the step is not of first order."""
    others: Mapping[Wanted, Condition] = field(default_factory=dict)
    """Conditions of the prompts and labels that stages name; None is the null condition."""
    after: Level = CLEAN
    """The level that the step goes to."""
    noisiest: Level = ZERO_SIGNAL
    """The last level of the model's noise table."""
    needs: frozenset[str] = frozenset()
    """Branches that later stages read, so that a shortcut must not leave them out."""
    starts: tuple[Level, ...] = ()
    """Where the steps of the trajectory begin."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Numbers (0-dim tensors or floats) that a method adds to the step's diagnostics."""
    pictures: dict[str, Picture] = field(default_factory=dict)
    """Maps over the latent's cells that it adds, by their names in `guidance.pictures.PICTURES`."""

    @property
    def level(self) -> Level:
        return self.cond.level

    @property
    def progress(self) -> float:
        """0 at the first step, 1 at the last."""
        return self.index / (self.count - 1) if self.count > 1 else 1.0

    def noise_like(self, tensor: Tensor) -> Tensor:
        """Standard normal numbers of the tensor's shape, the same on every device and in every dtype."""
        from torch import float32, randn

        return randn(tensor.shape, generator=self.generator, dtype=float32).to(tensor)

    def draw_seed(self) -> int:
        """A seed for numbers that the model draws itself."""
        from torch import randint

        return int(randint(2**31, (), generator=self.generator))

    def with_branch(self, cond: Branch) -> Step:
        """The step with another conditional branch."""
        return replace(self, cond=cond)

    def with_condition(self, cond: Condition) -> Step:
        return self.with_branch(replace(self.cond, cond=cond))

    def at(self, x: Tensor) -> Step:
        """The step with both branches at another x."""
        return replace(self, cond=replace(self.cond, x=x), uncond=replace(self.uncond, x=x))

    def branch(self, name: str, wanted: Wanted) -> Branch:
        """The evaluation of this step under a prompt or label that a stage named."""
        return Branch(name, self.cond.x, self.level, self.others[wanted])


def in_space(guide: Guide, space: Space, kind: Kind, seen: dict[str, Prediction]) -> Run:
    """Run `guide`, which speaks `space`, against a network that answers in `kind`; note predictions in `seen` by name.

    Returns what the guide returns, in its own space.
    """
    try:
        branches = next(guide)
        while True:
            outputs = yield branches
            predictions = [said(branch, output, kind) for branch, output in zip(branches, outputs, strict=True)]
            seen.update((b.name, p) for b, p in zip(branches, predictions, strict=True))
            branches = guide.send([p.view(space) for p in predictions])
    except StopIteration as done:
        value: Tensor = done.value
        return value
    finally:
        guide.close()


def said(branch: Branch, output: Tensor, kind: Kind) -> Prediction:
    """What a network answered to `branch`, as the `kind` that the request's own model predicts."""
    model = branch.cond.model
    own = Prediction(branch.x, branch.level, output, kind if model is None else model.kind)
    return own if own.kind == kind else Prediction(own.x, own.level, own.view(kind), kind)


def together(guides: Sequence[Asking[T]]) -> Asking[list[T]]:
    """Run guides side by side: what they wait for is asked at once, and a branch that several want only once."""
    values: dict[int, T] = {}
    waiting: dict[int, list[Branch]] = {}

    def move(place: int, answers: list[Tensor] | None) -> None:
        try:
            waiting[place] = guides[place].send(answers)  # type: ignore[arg-type]
        except StopIteration as done:
            values[place] = done.value
            waiting.pop(place, None)

    try:
        for place in range(len(guides)):
            move(place, None)
        while waiting:
            asked = list(dict.fromkeys(chain.from_iterable(waiting.values())))
            answers = dict(zip(asked, (yield asked), strict=True))
            for place, branches in list(waiting.items()):
                move(place, [answers[branch] for branch in branches])
    finally:
        for guide in guides:
            guide.close()
    return [values[place] for place in range(len(guides))]


def drive(run: Run, evaluate: Callable[[Sequence[Branch]], list[Tensor]]) -> Tensor:
    """Run one trajectory alone: the reference that the engine must reproduce."""
    from torch import no_grad

    with no_grad():
        try:
            branches = next(run)
            while True:
                branches = run.send(evaluate(branches))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        finally:
            run.close()
