"""DPM-Solver++(2M). Lu et al. 2022, arXiv:2211.01095, algorithm 2."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from guidance.noise import NoiseTable
from guidance.samplers.multistep import MultistepSampler


class DPMpp2M(MultistepSampler):
    """Second order, deterministic, one evaluation a step: good pictures in 15 to 25 steps."""

    paper: ClassVar[str] = "Lu et al. 2022, arXiv:2211.01095"
    solver: ClassVar[str] = "DPMSolverMultistepScheduler"

    type: Literal["dpmpp_2m"] = "dpmpp_2m"

    def scheduler_options(self, table: NoiseTable) -> dict[str, Any]:
        return super().scheduler_options(table) | {"algorithm_type": "dpmsolver++", "solver_order": 2}
