"""DPM-Solver++(2M). Lu et al. 2022, arXiv:2211.01095, algorithm 2."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from guidance.noise import NoiseTable
from guidance.samplers.multistep import MultistepSampler


class DPMpp2M(MultistepSampler):
    """Second order, deterministic, one evaluation a step: good pictures in 15 to 25 steps.

    x' = sigma' / sigma x - alpha' (e^-h - 1) D2, h the rise of ln(alpha / sigma), D2 = (1 + h / (2 h_before)) D -
    h / (2 h_before) D_before.
    """

    paper: ClassVar[str] = "Lu et al. 2022, arXiv:2211.01095"
    solver: ClassVar[str] = "DPMSolverMultistepScheduler"
    renoises: ClassVar[bool] = True

    type: Literal["dpmpp_2m"] = "dpmpp_2m"

    def scheduler_options(self, table: NoiseTable) -> dict[str, Any]:
        return super().scheduler_options(table) | {"algorithm_type": "dpmsolver++", "solver_order": 2}

    def shift(self, scheduler: Any, call: int) -> float:
        """Chung et al. 2024, arXiv:2406.08070, the authors' `dpm++_2m_cfg++`: but at the ends, twice.

        Their second order is (1 - e^-h) (D_g - D_u of the step before) / (2 r), r = h of the step before / h. The
        scheduler, which is given D_u at every step, takes it of D_u.
        """
        end = float(scheduler.sigmas[call + 1])
        alpha = 1 / math.hypot(1.0, end)
        if call == 0 or not end:
            return alpha
        before, here = float(scheduler.sigmas[call - 1]), float(scheduler.sigmas[call])
        r = math.log(before / here) / math.log(here / end)
        return alpha * (1 + (1 - end / here) / (2 * r))
