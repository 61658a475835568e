"""DDPM. Ho et al. 2020, arXiv:2006.11239, algorithm 2, on a strided grid."""

from __future__ import annotations

from typing import ClassVar, Literal

from guidance.samplers.base import Sampler


class DDPM(Sampler):
    """Ancestral sampling: fresh noise at each step. Wants many steps.

    x' ~ q(x' | x, x0 = D), the forward process' exact posterior. Variance: sigma'^2 / sigma^2 (1 - alpha^2 / alpha'^2).
    """

    paper: ClassVar[str] = "Ho et al. 2020, arXiv:2006.11239"
    solver: ClassVar[str] = "DDPMScheduler"

    type: Literal["ddpm"] = "ddpm"
