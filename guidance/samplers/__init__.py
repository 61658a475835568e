"""Samplers: the solver that takes the steps, and its noise grid. The union is the registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from guidance.samplers.base import Sampler
from guidance.samplers.ddim import DDIM
from guidance.samplers.ddpm import DDPM
from guidance.samplers.dpmpp_2m import DPMpp2M
from guidance.samplers.euler import Euler
from guidance.samplers.euler_ancestral import EulerAncestral
from guidance.samplers.grid import Spacing
from guidance.samplers.heun import Heun
from guidance.samplers.ho_salimans import HoSalimans
from guidance.samplers.lms import LMS
from guidance.samplers.unipc import UniPC

AnySampler = Annotated[
    DDIM | DDPM | DPMpp2M | Euler | EulerAncestral | Heun | HoSalimans | LMS | UniPC,
    Field(discriminator="type"),
]

__all__ = [
    "DDIM",
    "DDPM",
    "LMS",
    "AnySampler",
    "DPMpp2M",
    "Euler",
    "EulerAncestral",
    "Heun",
    "HoSalimans",
    "Sampler",
    "Spacing",
    "UniPC",
]
