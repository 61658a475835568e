"""CFG++. Chung et al. 2024, arXiv:2406.08070, algorithm 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from guidance.combiners.twofold import Twofold
from guidance.protocol import Step
from guidance.stage import Preset

if TYPE_CHECKING:
    from torch import Tensor


class CFGpp(Twofold):
    """Guide the denoised estimate, but put the noise back that the unconditional prediction saw: stays on the manifold.

    x' = alpha' D_g + sigma' eps_u, D_g = D_u + lambda (D_c - D_u), with the samplers ddim, euler and euler_ancestral;
    dpmpp_2m adds to D_g its second order, (1 - e^-h) (D_g - D_u of the step before) / (2 r). The schedule's weight is
    lambda, between 0 (unconditional) and 1; it is not CFG's weight. Where guidance is off the step is the conditional
    prediction's own. Perturbations and corrections change D_g and leave the noise alone.
    """

    paper: ClassVar[str] = "Chung et al. 2024, arXiv:2406.08070"
    neutral: ClassVar[str] = ""
    alone: ClassVar[Mapping[float, str]] = {0.0: "uncond"}
    renoises: ClassVar[bool] = True
    cfg_weight: ClassVar[bool] = False
    default_schedule: ClassVar[dict[str, Any]] = {"type": "constant", "weight": 0.6}
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset("cfgpp", "CFG++ at 0.6", {"schedule": default_schedule, "combiner": {"type": "cfgpp"}}),
    )

    type: Literal["cfgpp"] = "cfgpp"

    def combined(self, cond: Tensor, uncond: Tensor, step: Step) -> Tensor:
        if step.kept is not None and step.kept < 1:  # CFG at this weight takes the same step
            step.notes["effective_weight"] = step.weight / (1 - step.kept)
        return uncond + step.weight * (cond - uncond)

    def warnings(self, weights: list[float]) -> list[str]:
        largest = max(weights, default=0.0)
        if largest <= 1:
            return []
        return [f"cfgpp reads the weight as the paper's lambda, between 0 and 1: {largest:g} overshoots"]
