"""Characteristic Guidance. Zheng & Lan 2023 (ICML 2024), arXiv:2312.07586; solver of its authors' web UI extension."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from guidance.combiners.anderson import Anderson, joined
from guidance.combiners.base import Combiner
from guidance.combiners.cfg import CFG
from guidance.combiners.tikhonov import Projection
from guidance.prediction import wide
from guidance.protocol import Branch, Guide, Step
from guidance.stage import Preset, Space

if TYPE_CHECKING:
    from torch import Tensor

FIRST_REGULARISATION = 5.0
"""Where its annealing begins, at least."""

PLAIN = CFG()


class Characteristic(Combiner):
    """CFG corrected for its non-linearity: both predictions at inputs shifted to where they agree. Many evaluations.

    In Karras' scale, y = x / alpha: d = P sigma (eps(y + w d | null) - eps(y + (w - 1) d | cond)) is iterated to its
    fixed point; the guided prediction is CFG of those two. Where it is not reached, CFG at the unshifted input. With
    P = 1 (basis null) the result is exact for Gaussians: that of the diffused p_cond^w p_null^(1 - w).
    """

    paper: ClassVar[str] = "Zheng & Lan 2023, arXiv:2312.07586"
    space: ClassVar[Space] = "eps"
    neutral: ClassVar[str] = "weight = 1"
    data_dependent: ClassVar[bool] = True
    presets: ClassVar[tuple[Preset, ...]] = tuple(
        Preset(name, summary, {"combiner": {"type": "characteristic"} | fields})
        for name, summary, fields in (
            ("characteristic", "The authors' defaults", {}),
            ("characteristic_sdxl", "The authors' defaults for SDXL: more regularisation", {"regularisation": 5.0}),
            ("characteristic_fast", "The authors' defaults in the first 40 % of the steps, then CFG", {"stop": 0.4}),
        )
    )

    type: Literal["characteristic"] = "characteristic"
    basis: int | None = Field(
        0, ge=0, le=6, description="0: shift along CFG's direction; n: n parts of it in each channel; null: anywhere"
    )
    max_iterations: int = Field(50, ge=1, le=50, description="each takes two evaluations")
    tolerance: float = Field(1e-4, ge=1e-12, le=1, description="root mean square of the residual")
    step_size: float = Field(1.0, gt=0, le=1)
    memory: int = Field(2, ge=1, le=10, description="of Anderson acceleration; basis 0 uses 1")
    regularisation: float = Field(1.0, ge=0, le=10, description="of the projection, at the noisiest level")
    regularisation_range: float = Field(1.0, ge=0.01, le=10, description="the larger, the longer it lasts")
    annealing_speed: float = Field(0.4, ge=0, le=1)
    annealing_strength: float = Field(0.5, ge=0.01, le=5)
    reuse: float = Field(1.0, ge=0, le=1, description="share of the last step's shift to begin with")
    start: float = Field(0.0, ge=0, le=1, description="share of the steps before which it is CFG")
    stop: float = Field(1.0, ge=0, le=1, description="share of the steps after which it is CFG")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.stop:
            raise ValueError(f"start = {self.start} must be below stop = {self.stop}")
        return self

    def branches(self, weight: float) -> frozenset[str]:
        return PLAIN.branches(weight)

    def evaluations(self, asked: frozenset[str], weight: float, index: int, count: int) -> int:
        return self._most if self._iterates(weight, index, count) else len(asked)

    def warnings(self, weights: list[float]) -> list[str]:
        if all(weight in (0, 1) for weight in weights):
            return []
        return [f"{self.type} iterates until it converges: counted are the {self._most} evaluations a call may take"]

    @property
    def _most(self) -> int:
        """Two an iteration; the first needs none of its own where it begins at no shift."""
        return 2 * (self.max_iterations + (self.reuse > 0))

    def guide(self, step: Step) -> Guide:
        if not step.level.alpha or not self._iterates(step.weight, step.index, step.count):
            return (yield from PLAIN.guide(step))
        cond, uncond = yield [step.cond, step.uncond]
        return (yield from self._fixed_point(step, cond, uncond))

    def _iterates(self, weight: float, index: int, count: int) -> bool:
        """At weights 0 and 1 only one branch counts, and it is not shifted."""
        return weight not in (0, 1) and round(self.start * count) <= index < round(self.stop * count)

    def _fixed_point(self, step: Step, cond: Tensor, uncond: Tensor) -> Guide:
        """Anderson's iteration of the shift and of the root of the projection's regularisation, each row for itself."""
        sigma, solver = step.level.ratio, Anderson(1 if self.basis == 0 else self.memory)
        project = None if self.basis is None else Projection(sigma * (wide(cond) - wide(uncond)), self.basis)
        first, target = (0.0, 0.0) if self.basis is None else self._annealing(step)
        shift, known = self._first_shift(step, cond)
        roots = shift.new_full((len(shift),), first)
        best, best_shift, best_guided = shift.new_full((len(shift),), math.inf), shift, cond
        for k in range(self.max_iterations):
            c, u = (cond, uncond) if known else (yield self._shifted(step, shift, k))
            agreed = sigma * (wide(u) - wide(c))
            if project and k:  # the first iteration is not projected
                agreed = project(agreed, roots.square() / self.annealing_strength)
            residual = joined(shift - agreed, self.annealing_speed * (roots - target))
            size = residual.square().mean(dim=1).sqrt()
            better = _rows((size < best) & (best >= self.tolerance))
            best_shift = shift.where(better, best_shift)
            best_guided = (u + step.weight * (c - u)).where(better, best_guided)
            best = size.where(better.flatten(), best)
            ended = (best < self.tolerance) | ~size.isfinite()
            if k + 1 == self.max_iterations or bool(ended.all()):  # the iteration's one wait for the device
                break
            after = solver.after(joined(shift, roots), residual, self.step_size)
            shift, roots, known = after[:, :-1].view(shift.shape), after[:, -1].abs(), False
        converged = _rows(best < self.tolerance)
        step.notes.update(characteristic_iterations=k + 1, characteristic_residual=best[0])
        if step.call == 0:
            step.memory[self.type] = best_shift.where(converged, shift.new_zeros(())), sigma
        return best_guided.where(converged, uncond + step.weight * (cond - uncond))

    def _first_shift(self, step: Step, cond: Tensor) -> tuple[Tensor, bool]:
        """Where to begin, and whether the predictions there are those of the unshifted input."""
        zero = wide(cond.new_zeros(cond.shape))
        if not self.reuse or self.type not in step.memory:
            return zero, True
        last, sigma = step.memory[self.type]
        return self.reuse * (step.level.ratio / sigma) ** 2 * last, False

    def _annealing(self, step: Step) -> tuple[float, float]:
        """Where the root of the regularisation begins, and where it is to arrive."""
        first = max(FIRST_REGULARISATION, self.regularisation)
        last = self.regularisation * (step.noisiest.alpha / step.level.alpha) ** (2 / self.regularisation_range)
        return math.sqrt(self.annealing_strength * first), math.sqrt(self.annealing_strength * last)

    def _shifted(self, step: Step, shift: Tensor, k: int) -> list[Branch]:
        shift = (step.level.alpha * shift).to(step.cond.x.dtype)
        shares = ((step.cond, step.weight - 1), (step.uncond, step.weight))
        return [b.another(f"{b.name}@{k + 1}", x=b.x + share * shift) for b, share in shares]


def _rows(mask: Tensor) -> Tensor:
    return mask[:, None, None, None]
