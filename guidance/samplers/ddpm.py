"""DDPM. Ho et al. 2020, arXiv:2006.11239, algorithm 2, on a strided grid."""

from __future__ import annotations

from typing import ClassVar, Literal

from guidance.samplers.base import Sampler


class DDPM(Sampler):
    """Ancestral sampling: fresh noise at each step. Wants many steps."""

    paper: ClassVar[str] = "Ho et al. 2020, arXiv:2006.11239"
    solver: ClassVar[str] = "DDPMScheduler"

    type: Literal["ddpm"] = "ddpm"
