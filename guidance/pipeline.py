"""One guided evaluation: condition, combine and perturb, correct, add energies. What a trajectory does at each call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guidance.energies import Effect, Energy, Estimate
from guidance.plan import Call
from guidance.prediction import Prediction
from guidance.protocol import Asking, Guide, Step, in_space, together
from guidance.spec import GuidanceSpec
from guidance.stage import Space
from guidance.tape import Tape, cut

if TYPE_CHECKING:
    from torch import Tensor

    from guidance.models.base import Model

OWN: Space = "output"
"""Where guidance is off the network's answer is passed on as it is, not converted there and back."""


@dataclass(frozen=True, eq=False)
class Guided:
    """What a guided evaluation came to."""

    prediction: Prediction
    seen: dict[str, Prediction]
    """The predictions of its branches, by name."""
    renoised: Prediction | None = None
    """Whose noise the solver puts back; None for that of the guided prediction."""
    after: Tensor | None = None
    """What is added to x after the solver's step."""


@dataclass(frozen=True)
class Pipeline:
    """The stages of a spec that act on one evaluation, in their order, for one model."""

    guidance: GuidanceSpec
    model: Model

    def evaluate(self, call: Call, step: Step) -> Asking[Guided]:
        """Yields branches, is sent network outputs. Notes numbers in `step.notes`."""
        energies = [energy for energy in self.guidance.energy if energy.active(step.index, step.count)]
        if not energies:
            return (yield from self._predict(call, step))
        tape = Tape(step.cond.x)
        predicting = self._predict(call, step.at(tape.x))
        recorded = any(energy.through_network for energy in energies)
        guided = yield from tape.record(predicting) if recorded else predicting
        return (yield from self._with_energies(energies, guided, step, tape))

    def _with_energies(self, energies: Sequence[Energy], guided: Guided, step: Step, tape: Tape) -> Asking[Guided]:
        """Every energy sees the same prediction; what they add is summed."""
        estimate = Estimate(step, guided.prediction, guided.seen, self.model, tape)
        effects: list[Effect] = []
        for energy in energies:
            effects.append((yield from energy.act(estimate)))
        for kept in (step.memory, step.notes, step.pictures):
            kept.update(cut(kept))
        prediction = cut(guided.prediction)
        for effect in effects:
            if effect.denoised is not None:
                prediction = prediction.replaced(prediction.denoised + effect.denoised, "denoised")
        moves = [effect.after for effect in effects if effect.after is not None]
        moved = sum(moves[1:], moves[0]) if moves else None
        return Guided(prediction, cut(guided.seen), cut(guided.renoised), moved)

    def _predict(self, call: Call, step: Step) -> Asking[Guided]:
        """Condition, combine and perturb, correct."""
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
        value, *added = yield from together([in_space(guide, space, kind, seen), *pushes])
        guided = Prediction(step.cond.x, step.level, step.cond.x, kind).replaced(value, space)
        if self.guidance.reuse:
            self.guidance.reuse.observe(seen, step)
        for term, push in zip(terms, added, strict=True):
            step.notes[f"{term.type}_norm"] = push.norm()
            guided = guided.replaced(guided.view(term.space) + push, term.space)
        for correction in self.guidance.correction:
            guided = correction.correct(guided, seen, step)
        renoises = self.guidance.combiner.renoises and call.weight is not None
        return Guided(guided, seen, seen.get("uncond") if renoises else None)

    def _guide(self, call: Call, step: Step) -> tuple[Guide, Space]:
        """What makes the guided prediction of this call, and in which space."""
        if call.weight is None:
            return _conditional(step), OWN
        reuse, combiner = self.guidance.reuse, self.guidance.combiner
        if reuse and (reused := reuse.guide(step)):
            return reused, reuse.space
        return combiner.guide(step), combiner.space


def _conditional(step: Step) -> Guide:
    """Where guidance is off: the conditional prediction alone."""
    [cond] = yield [step.cond]
    return cond
