"""The path of one image from noise to its final sample: a coroutine, and what may be read of it between steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guidance.diagnostics import Cost, Detail, Diagnostics
from guidance.noise import Level
from guidance.plan import Call, plan
from guidance.prediction import Prediction
from guidance.protocol import Branch, Condition, Guide, Guided, Run, Step, in_space
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
        conditions: tuple[Condition, Condition],
        shape: tuple[int, ...],
        seed: int,
        detail: Detail = "summary",
    ) -> None:
        self.model = model
        self.guidance = guidance
        self.sampler = sampler
        self.cond, self.uncond = conditions
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
            step = self._step(call, solver.network_input(sample, index), condition_stream)
            self.guided = yield from self._guided(call, step)
            sample = solver.advance(sample, self.guided, index, noise_stream)
            self.calls_done = index + 1
        return sample

    def _step(self, call: Call, x: Tensor, stream: Generator) -> Step:
        return Step(
            index=call.step,
            count=self.plan.steps,
            call=call.within,
            weight=1.0 if call.weight is None else call.weight,
            start=call.start,
            cond=Branch("cond", x, call.level, self.cond),
            uncond=Branch("uncond", x, call.level, self.uncond),
            generator=stream,
            memory=self._memory,
            noisiest=self._noisiest,
            needs=self.guidance.needs,
        )

    def _guided(self, call: Call, step: Step) -> Guided:
        """One guided evaluation: condition, combine, correct, note."""
        for transform in self.guidance.condition:
            step = transform.apply(step)
        combiner, seen = self.guidance.combiner, dict[str, Prediction]()
        guide, space = (_conditional(step), OWN) if call.weight is None else (combiner.guide(step), combiner.space)
        guided = yield from self._counted(in_space(guide, step, space, self.model.info.prediction_type, seen))
        for correction in self.guidance.correction:
            guided = correction.correct(guided, seen, step)
        self.nfe_done += self.cost.evaluations
        self.diagnostics.record(call, seen, guided, step.notes, self.cost)
        self.cost = Cost()
        return guided

    def _counted(self, guided: Guided) -> Guided:
        """`guided`, with its evaluations counted: a branch may be asked for more than once."""
        try:
            branches = next(guided)
            while True:
                outputs = yield branches
                self.cost.evaluations += len(branches)
                branches = guided.send(outputs)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        finally:
            guided.close()


def _conditional(step: Step) -> Guide:
    """Where guidance is off: the conditional prediction alone."""
    [cond] = yield [step.cond]
    return cond
