"""DDIM inversion: the noise from which a deterministic sampler leads back to a given sample.

Song et al. 2020, arXiv:2010.02502, section 4.3; with CFG++, Chung et al. 2024, arXiv:2406.08070: the same step up, with
the two noises of its step down in each other's place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from guidance.combiners import CFG
from guidance.info import ModelInfo, Problem
from guidance.noise import Level
from guidance.plan import Call, plan
from guidance.prediction import Prediction
from guidance.protocol import Asking, Branch, Condition, Conditions, Run
from guidance.samplers import DDIM, AnySampler, Euler
from guidance.schedules import Constant
from guidance.spec import GuidanceSpec

if TYPE_CHECKING:
    from torch import Tensor

    from guidance.models.base import Model

COMBINERS = ("cfg", "cfgpp")
"""What the way up is defined for; their weights are those of the way down."""


@dataclass(frozen=True, eq=False)
class Source:
    """A sample (1, C, H, W) to begin from, what it shows, and how the way up is guided: an `inversion_spec`."""

    clean: Tensor
    cond: Condition
    guidance: GuidanceSpec

    def inverted(self, model: Model, sampler: AnySampler, conditions: Conditions) -> Run:
        """Its noise, by its own condition and the request's null or negative one."""
        return invert(model, self.guidance, sampler, replace(conditions, cond=self.cond), self.clean)


def inversion_spec(guidance: GuidanceSpec, weight: float | None = None) -> GuidanceSpec:
    """How the way up is guided: CFG++ where the way down is, else CFG; None: at the weights of the way down."""
    combiner = guidance.combiner if guidance.combiner.type in COMBINERS else CFG()
    schedule = guidance.schedule if weight is None else Constant(weight=weight)
    return GuidanceSpec(combiner=combiner, schedule=schedule)


def inversion_problems(
    guidance: GuidanceSpec, sampler: AnySampler, info: ModelInfo, weight: float | None = None
) -> list[Problem]:
    """Why a request with this guidance, sampler and inversion weight cannot begin with an inversion."""
    found = []
    if not isinstance(sampler, DDIM | Euler):
        detail = f"an inversion is defined for ddim and euler, not for {sampler.type}"
        found.append(Problem("/sampler/type", "unsupported_sampler", detail))
    elif isinstance(sampler, DDIM) and sampler.eta:
        detail = f"eta = {sampler.eta:g}: an inversion is defined for eta = 0, whose steps draw no noise"
        found.append(Problem("/sampler/eta", "unsupported_sampler", detail))
    if weight is None and guidance.combiner.type not in COMBINERS:
        detail = f"the weights of {guidance.combiner.type} mean nothing to an inversion by CFG: give one of its own"
        found.append(Problem("/source/weight", "missing_weight", detail))
    if not sampler.levels(info.noise)[0].alpha:
        detail = f"{info.id} begins at zero signal with {sampler.type}, where nothing is left of a source"
        found.append(Problem("/sampler/type", "undefined_at_zero_signal", detail))
    return found


def invert(model: Model, guidance: GuidanceSpec, sampler: AnySampler, conditions: Conditions, clean: Tensor) -> Run:
    """The noise to start a `Trajectory` from. `guidance` is an `inversion_spec`; `clean` is a sample (1, C, H, W).

    Takes the sampler's steps last to first. Where one goes down from (alpha, sigma) to (alpha', sigma'), it goes up by
    x0 = (x' - sigma' eps) / alpha', x = alpha x0 + sigma eps_g, with eps = eps_u for CFG++, else eps_g. That is exact
    where the network says the same of x' as of x: it is asked of x' at the level of x.
    """
    solver = sampler.make_solver(model.info.noise, model.scheduler_config)
    x = clean
    for index, call in reversed(list(enumerate(plan(guidance, sampler, model.info).calls))):
        kept = solver.kept(index)
        assert kept is not None, f"{sampler.type} is not of first order"
        below = Level.variance_preserving(0, kept * call.level.ratio)  # where the sampler's step ended, not DDIM's grid
        guided, uncond = yield from _noises(call, guidance, conditions, model.info, x)
        denoised = (x - below.sigma * (uncond if guidance.combiner.renoises else guided)) / below.alpha
        x = call.level.alpha * denoised + call.level.sigma * guided
    return x / solver.network_input(solver.start(clean.new_ones(())), 0)


def _noises(
    call: Call, guidance: GuidanceSpec, conditions: Conditions, info: ModelInfo, x: Tensor
) -> Asking[tuple[Tensor, Tensor]]:
    """The guided and the unconditional noise prediction; where one branch is left out, both are the other."""
    names = sorted({"cond"} if call.weight is None else guidance.combiner.branches(call.weight))
    told = {"cond": conditions.cond, "uncond": conditions.uncond}
    branches = [Branch(name, x, call.level, told[name]) for name in names]
    outputs = yield branches
    eps = [Prediction(x, call.level, output, info.prediction_type).eps for output in outputs]
    if len(eps) == 1:
        return eps[0], eps[0]
    cond, uncond = eps
    assert call.weight is not None
    return uncond + call.weight * (cond - uncond), uncond
