"""The plan of a trajectory: every call of the network with its level and weight, before a tensor exists.

The gateway shows it (`POST /v1/guidance/validate`) and the trajectory runs it, so what is shown is what runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from guidance.info import ModelInfo
from guidance.noise import CLEAN, Level
from guidance.samplers import AnySampler
from guidance.spec import GuidanceSpec


@dataclass(frozen=True, slots=True)
class Call:
    """One evaluation of the guided network: step `step`, evaluation `within` it, at `level`."""

    step: int
    within: int
    place: int
    """Which of the solver's evaluations it is, however often steps are repeated."""
    repeat: int
    """Which time the step is taken, from 0."""
    repeated: bool
    """Whether it is taken more than once."""
    level: Level
    start: Level
    """The level at which the step began: where its weight is read."""
    after: Level
    """The level that the step goes to."""
    weight: float | None
    """None where guidance is off."""
    nfe: int
    """Network evaluations; the most there can be where their number is decided on the way."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The calls of one trajectory, in order."""

    steps: int
    calls: tuple[Call, ...]
    warnings: tuple[str, ...]

    @property
    def nfe(self) -> int:
        """Network evaluations for one image, at most."""
        return sum(call.nfe for call in self.calls)

    @property
    def plain_nfe(self) -> int:
        """What plain CFG would take on the same grid: two at each call, no step taken twice."""
        return 2 * sum(call.repeat == 0 for call in self.calls)


def plan(guidance: GuidanceSpec, sampler: AnySampler, info: ModelInfo) -> Plan:
    """Plan one image of `info` under this spec. The spec must be one that the model can run (`ModelInfo.problems`)."""
    levels = sampler.levels(info.noise)
    places: dict[int, list[int]] = {}
    for place in range(len(levels)):
        places.setdefault(sampler.place(place)[0], []).append(place)
    starts = {step: levels[first] for step, (first, *_) in places.items()}
    weights = {step: guidance.schedule.at(step, sampler.steps, level.ratio) for step, level in starts.items()}
    calls: list[Call] = []
    read = guidance.needs
    known = False
    for step, start in starts.items():
        weight = weights[step]
        asked = frozenset({"cond"}) if weight is None else guidance.combiner.branches(weight) | read
        if known and guidance.reuse and guidance.reuse.skips(step, sampler.steps) and weight is not None:
            asked = frozenset({"cond"})
        known |= {"cond", "uncond"} <= asked
        nfe = _nfe(guidance, asked, weight, step, sampler.steps)
        times = guidance.travel.times(start, info.noise.num_train_timesteps) if guidance.travel else 1
        after = starts.get(step + 1, CLEAN)
        calls += [
            Call(step, sampler.place(place)[1], place, repeat, times > 1, levels[place], start, after, weight, nfe)
            for repeat in range(times)
            for place in places[step]
        ]
    return Plan(sampler.steps, tuple(calls), (*_warnings(guidance, weights), *sampler.warnings(info.noise)))


def _nfe(guidance: GuidanceSpec, asked: frozenset[str], weight: float | None, index: int, count: int) -> int:
    """Evaluations of the combiner, of the perturbations those it does not ask for anyway, and again for gradients."""
    terms = [term.branches for term in guidance.perturbation if term.active(index, count)]
    extra = frozenset[str]().union(*terms) - asked
    own = len(asked) if weight is None else guidance.combiner.evaluations(asked, weight, index, count)
    once = own + len(extra)
    backwards = sum(energy.through_network and energy.active(index, count) for energy in guidance.energy)
    if not backwards:
        return once
    return once + backwards * (once - len(_only_looked_at(guidance, weight, terms)))


def _only_looked_at(guidance: GuidanceSpec, weight: float | None, terms: list[frozenset[str]]) -> frozenset[str]:
    """Branches that an energy reads and the guided prediction is not made of: no gradient goes back through them."""
    if weight is None:
        return frozenset()
    made_of = guidance.combiner.branches(weight).union(*terms, *(stage.needs for stage in guidance.correction))
    return frozenset[str]().union(*(energy.needs for energy in guidance.energy)) - made_of


def _warnings(guidance: GuidanceSpec, weights: dict[int, float | None]) -> list[str]:
    guided = [weight for weight in weights.values() if weight is not None]
    warnings = guidance.combiner.warnings(guided)
    if not guided:
        warnings.append("guidance is off at every step: the schedule is on at none of this grid's steps")
    if any(weight < 0 for weight in guided):
        warnings.append(f"the weight falls to {min(guided):g}: below 0 the condition is pushed away from")
    return warnings
