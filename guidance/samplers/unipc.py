"""UniPC. Zhao et al. 2023, arXiv:2302.04867."""

from __future__ import annotations

from typing import ClassVar, Literal

from guidance.samplers.multistep import MultistepSampler


class UniPC(MultistepSampler):
    """Predictor-corrector of second order, deterministic, one evaluation a step: good pictures in 10 to 20 steps.

    DPM-Solver's prediction of x', corrected at the next step by the estimate that was found there.
    """

    paper: ClassVar[str] = "Zhao et al. 2023, arXiv:2302.04867"
    solver: ClassVar[str] = "UniPCMultistepScheduler"
    movable: ClassVar[bool] = False  # its corrector goes back to where the last step began

    type: Literal["unipc"] = "unipc"
