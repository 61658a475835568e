"""The path of one image from noise to its final sample: a coroutine, and what may be read of it between steps."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from guidance.diagnostics import Cost, Detail, Diagnostics
from guidance.inversion import Source
from guidance.noise import Level
from guidance.pipeline import Guided, Pipeline
from guidance.plan import Call, plan
from guidance.prediction import Prediction
from guidance.protocol import Asking, Branch, Conditions, Run, Step, T
from guidance.samplers import AnySampler
from guidance.samplers.base import StepSolver
from guidance.spec import GuidanceSpec
from guidance.time_travel import noised

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from guidance.models.base import Model

CONDITION_STREAM = 0x9E3779B9
"""Sets the stream of condition noise apart: with CADS or without, the solver draws the same noise."""


Seen = tuple[int, "int | Tensor"]
"""Calls done, and after how many of them the sample was finite."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where a trajectory stands between two calls. What is in it is replaced, not changed, while the next one runs."""

    sample: Tensor
    solver: StepSolver
    began: StepSolver
    """The solver as it was where the step began: for a step that is repeated."""
    noise: Tensor
    """State of the generator that draws the solver's noise."""
    conditions: Tensor
    """State of the one that methods draw from."""
    memory: dict[str, Any]


class Trajectory:
    """One image. Depends on its seed and spec alone: image k of seed s is image 0 of seed s + k."""

    def __init__(
        self,
        model: Model,
        guidance: GuidanceSpec,
        sampler: AnySampler,
        conditions: Conditions,
        shape: tuple[int, ...],
        seed: int,
        detail: Detail = "summary",
        noise: Tensor | None = None,
        source: Source | None = None,
    ) -> None:
        self.model = model
        self.guidance = guidance
        self.sampler = sampler
        self.conditions = conditions
        self.shape = shape
        self.seed = seed
        self.noise = noise
        """What it starts from; None: inverted from its source, or drawn from the seed."""
        self.source = source
        self.inversion_nfe = plan(source.guidance, sampler, model.info).nfe if source else 0
        """Evaluations of the inversion of its source, all before the first call of the plan."""
        self.plan = plan(guidance, sampler, model.info)
        self.diagnostics = Diagnostics(detail, model.info.data_bound)
        self.calls_done = 0
        self.nfe_done = 0
        self.finite: int | Tensor = 0
        """Calls after which the sample was finite, counted on the device."""
        self.guided: Prediction | None = None
        """The latest guided prediction, for previews."""
        self.cost = Cost()
        """Of the evaluations since the last call; the driver adds to it."""
        self._memory: dict[str, Any] = {}
        self._place: Place | None = None
        self._pipeline = Pipeline(guidance, model)
        last = model.info.noise.num_train_timesteps - 1
        self._starts = tuple({call.step: call.start for call in self.plan.calls}.values())
        self._noisiest = Level.variance_preserving(last, float(model.info.noise.ratios[-1]))

    @property
    def steps_done(self) -> int:
        return self.plan.steps if self.calls_done == len(self.plan.calls) else self.plan.calls[self.calls_done].step

    @property
    def nfe_total(self) -> int:
        """Evaluations done, and what is planned of the inversion and the calls to come."""
        return max(self.nfe_done, self.inversion_nfe) + sum(call.nfe for call in self.plan.calls[self.calls_done :])

    def seen(self) -> Seen:
        """How far it is and was finite, sent to the host without waiting: to be read once the device is there."""
        finite = self.finite
        return self.calls_done, finite if isinstance(finite, int) else finite.to("cpu", non_blocking=True)

    def lost_at(self, seen: Seen) -> int | None:
        """The step at which the sample became NaN or infinite, which it stays; None where it had not."""
        calls, finite = seen
        return None if int(finite) == calls else self.plan.calls[int(finite)].step

    def run(self) -> Run:
        """Sample. Yields branches, is sent network outputs, returns the final sample (1, C, H, W)."""
        import torch

        noise_stream = torch.Generator().manual_seed(self.seed)
        condition_stream = torch.Generator().manual_seed(self.seed ^ CONDITION_STREAM)
        if (place := self._place) is None:
            solver = began = self._solver()
            sample = solver.start((yield from self._start(noise_stream)).to(self.model.device))
        else:
            sample, solver, began = place.sample, place.solver, place.began
            noise_stream.set_state(place.noise)
            condition_stream.set_state(place.conditions)
        for call in self.plan.calls[self.calls_done :]:
            if call.within == 0 and call.repeated:
                if call.repeat:
                    sample, solver = self._back(call, sample, noise_stream), began
                began = deepcopy(solver)
            x, kept = solver.network_input(sample, call.place), solver.kept(call.place)
            guided = yield from self._evaluated(call, self._step(call, x, kept, condition_stream))
            sample = solver.advance(sample, guided.prediction, call.place, noise_stream, guided.renoised)
            if guided.after is not None:
                sample = sample + guided.after / self.sampler.scale(call.after)
            self.calls_done += 1
            self.finite = self.finite + sample.isfinite().all()
            streams = noise_stream.get_state(), condition_stream.get_state()
            self._place = Place(sample, solver, began, *streams, dict(self._memory))
        return sample

    def state(self) -> dict[str, Any] | None:
        """All that `restore` needs to go on after the last call that ended, in nested values that `Packed` holds.

        None where none has. Evaluations of a call that is under way are made again.
        """
        if (place := self._place) is None:
            return None
        ended = self.calls_done == len(self.plan.calls)
        call = None if ended else self.plan.calls[self.calls_done]
        repeats = call is not None and call.repeated and (call.within, call.repeat) != (0, 0)
        return {
            "calls_done": self.calls_done,
            "nfe_done": self.nfe_done,
            "finite": self.finite,
            "diagnostics": self.diagnostics.state(),
            "sample": place.sample,
            "solver": {} if ended else place.solver.state(),
            "began": place.began.state() if repeats else {},
            "noise": place.noise,
            "conditions": place.conditions,
            "memory": {} if ended else place.memory,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Before `run`: stand where the trajectory stood that told its `state`, of the same spec, model and seed."""
        if state["sample"].shape != self.shape:
            raise ValueError(f"a state of {tuple(state['sample'].shape)} is not of {self.shape}")
        solver, began = self._solver(), self._solver()
        solver.restore(state["solver"])
        began.restore(state["began"])
        self.diagnostics.restore(state["diagnostics"])
        self.calls_done, self.nfe_done, self.finite = state["calls_done"], state["nfe_done"], state["finite"]
        self._memory = state["memory"]
        streams = state["noise"], state["conditions"]
        self._place = Place(state["sample"], solver, began, *streams, dict(self._memory))

    def _solver(self) -> StepSolver:
        return self.sampler.make_solver(self.model.info.noise, self.model.scheduler_config)

    def _start(self, stream: Generator) -> Run:
        """Standard normal noise to begin with."""
        from torch import randn

        if self.noise is not None:
            return self.noise
        if self.source is not None:
            return (yield from self._inverted(self.source))
        return randn(self.shape, generator=stream, dtype=self.model.dtype)

    def _inverted(self, source: Source) -> Run:
        """The noise to start from, each evaluation counted as it is done. The diagnostics are of the way down."""
        run = source.inverted(self.model, self.sampler, self.conditions)
        try:
            branches = next(run)
            while True:
                outputs = yield branches
                self.nfe_done += len(branches)
                branches = run.send(outputs)
        except StopIteration as done:
            self.cost = Cost()
            noise: Tensor = done.value
            return noise
        finally:
            run.close()

    def _back(self, call: Call, sample: Tensor, stream: Generator) -> Tensor:
        """The sample that a step arrived at, taken back by noise to where it began."""
        noise = sample.new_empty(sample.shape, device="cpu").normal_(generator=stream).to(sample.device)
        there, here = self.sampler.scale(call.after), self.sampler.scale(call.level)
        return noised(there * sample, call.after, call.level, noise) / here

    def _step(self, call: Call, x: Tensor, kept: float | None, stream: Generator) -> Step:
        return Step(
            index=call.step,
            count=self.plan.steps,
            call=call.within,
            weight=1.0 if call.weight is None else call.weight,
            start=call.start,
            cond=Branch("cond", x, call.level, self.conditions.cond),
            uncond=Branch("uncond", x, call.level, self.conditions.uncond),
            generator=stream,
            memory=self._memory,
            kept=kept,
            others=self.conditions.others,
            after=call.after,
            noisiest=self._noisiest,
            needs=self.guidance.needs,
            starts=self._starts,
        )

    def _evaluated(self, call: Call, step: Step) -> Asking[Guided]:
        """One guided evaluation, counted and noted."""
        guided = yield from self._counted(self._pipeline.evaluate(call, step))
        self.guided = guided.prediction
        self.nfe_done += self.cost.evaluations
        self.diagnostics.record(call, guided.seen, guided.prediction, step.notes, self.cost)
        self.diagnostics.keep(call, step.pictures)
        self.cost = Cost()
        return guided

    def _counted(self, asking: Asking[T]) -> Asking[T]:
        """`asking`, with its evaluations counted: a branch may be asked for more than once."""
        try:
            branches = next(asking)
            while True:
                outputs = yield branches
                self.cost.evaluations += len(branches)
                branches = asking.send(outputs)
        except StopIteration as done:
            value: T = done.value
            return value
        finally:
            asking.close()
