"""The path of one image from noise to its final sample: a coroutine, and what may be read of it between steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guidance.diagnostics import Cost, Detail, Diagnostics
from guidance.noise import Level
from guidance.plan import Call, plan
from guidance.prediction import Prediction
from guidance.protocol import Asking, Branch, Conditions, Guide, Guided, Run, Step, T, in_space, together
from guidance.samplers import AnySampler
from guidance.spec import GuidanceSpec
from guidance.stage import Space

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from guidance.models.base import Model

CONDITION_STREAM = 0x9E3779B9
"""Sets the stream of condition noise apart: with CADS or without, the solver draws the same noise."""

OWN: Space = "output"
"""Where guidance is off the network's answer is passed on as it is, not converted there and back."""


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
    ) -> None:
        self.model = model
        self.guidance = guidance
        self.sampler = sampler
        self.conditions = conditions
        self.shape = shape
        self.seed = seed
        self.plan = plan(guidance, sampler, model.info)
        self.diagnostics = Diagnostics(detail, model.info.data_bound)
        self.calls_done = 0
        self.nfe_done = 0
        self.guided: Prediction | None = None
        """The latest guided prediction, for previews."""
        self.cost = Cost()
        """Of the evaluations since the last call; the driver adds to it."""
        self._memory: dict[str, Any] = {}
        last = model.info.noise.num_train_timesteps - 1
        self._starts = tuple({call.step: call.start for call in self.plan.calls}.values())
        self._noisiest = Level.variance_preserving(last, float(model.info.noise.ratios[-1]))

    @property
    def steps_done(self) -> int:
        return self.plan.steps if self.calls_done == len(self.plan.calls) else self.plan.calls[self.calls_done].step

    @property
    def nfe_total(self) -> int:
        """Evaluations done, and what is planned of the calls to come."""
        return self.nfe_done + sum(call.nfe for call in self.plan.calls[self.calls_done :])

    def run(self) -> Run:
        """Sample. Yields branches, is sent network outputs, returns the final sample (1, C, H, W)."""
        import torch

        noise_stream = torch.Generator().manual_seed(self.seed)
        condition_stream = torch.Generator().manual_seed(self.seed ^ CONDITION_STREAM)
        solver = self.sampler.make_solver(self.model.info.noise, self.model.scheduler_config)
        noise = torch.randn(self.shape, generator=noise_stream, dtype=self.model.dtype)
        sample = solver.start(noise.to(self.model.device))
        for index, call in enumerate(self.plan.calls):
            step = self._step(call, solver.network_input(sample, index), solver.kept(index), condition_stream)
            self.guided = yield from self._guided(call, step)
            sample = solver.advance(sample, self.guided, index, noise_stream)
            self.calls_done = index + 1
        return sample

    def _step(self, call: Call, x: Tensor, kept: float, stream: Generator) -> Step:
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
            noisiest=self._noisiest,
            needs=self.guidance.needs,
            starts=self._starts,
        )

    def _guided(self, call: Call, step: Step) -> Guided:
        """One guided evaluation: condition, combine and perturb, correct, note."""
        for transform in self.guidance.condition:
            step = transform.apply(step)
        if call.weight is not None:
            step = self.guidance.combiner.prepare(step)
        terms = [term for term in self.guidance.perturbation if term.active(step.index, step.count)]
        for term in terms:
            step = term.prepare(step)
        kind, seen = self.model.info.prediction_type, dict[str, Prediction]()
        guide, space = self._guide(call, step)
        pushes = [in_space(term.push(step), term.space, kind, seen) for term in terms]
        value, *added = yield from self._counted(together([in_space(guide, space, kind, seen), *pushes]))
        guided = Prediction(step.cond.x, step.level, step.cond.x, kind).replaced(value, space)
        if self.guidance.reuse:
            self.guidance.reuse.observe(seen, step)
        for term, push in zip(terms, added, strict=True):
            step.notes[f"{term.type}_norm"] = push.norm()
            guided = guided.replaced(guided.view(term.space) + push, term.space)
        for correction in self.guidance.correction:
            guided = correction.correct(guided, seen, step)
        self.nfe_done += self.cost.evaluations
        self.diagnostics.record(call, seen, guided, step.notes, self.cost)
        self.cost = Cost()
        return guided

    def _guide(self, call: Call, step: Step) -> tuple[Guide, Space]:
        """What makes the guided prediction of this call, and in which space."""
        if call.weight is None:
            return _conditional(step), OWN
        reuse, combiner = self.guidance.reuse, self.guidance.combiner
        if reuse and (reused := reuse.guide(step)):
            return reused, reuse.space
        return combiner.guide(step), combiner.space

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


def _conditional(step: Step) -> Guide:
    """Where guidance is off: the conditional prediction alone."""
    [cond] = yield [step.cond]
    return cond
