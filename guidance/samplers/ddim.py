"""DDIM. Song et al. 2020, arXiv:2010.02502, eq. 12."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from guidance.samplers.base import Sampler


class DDIM(Sampler):
    """First order, deterministic at eta = 0; eta = 1 is as stochastic as DDPM."""

    paper: ClassVar[str] = "Song et al. 2020, arXiv:2010.02502"
    solver: ClassVar[str] = "DDIMScheduler"

    type: Literal["ddim"] = "ddim"
    eta: float = Field(0.0, ge=0, le=1)

    def step_options(self) -> dict[str, Any]:
        return {"eta": self.eta}
