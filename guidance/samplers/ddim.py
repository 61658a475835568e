"""DDIM. Song et al. 2020, arXiv:2010.02502, eq. 12."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from pydantic import Field

from guidance.samplers.base import Sampler


class DDIM(Sampler):
    """First order, deterministic at eta = 0; eta = 1 is as stochastic as DDPM.

    x' = alpha' D + sqrt(sigma'^2 - s^2) eps + s n, s = eta sigma' / sigma sqrt(1 - alpha^2 / alpha'^2).
    """

    paper: ClassVar[str] = "Song et al. 2020, arXiv:2010.02502"
    solver: ClassVar[str] = "DDIMScheduler"

    renoises: ClassVar[bool] = True

    type: Literal["ddim"] = "ddim"
    eta: float = Field(0.0, ge=0, le=1)

    def step_options(self) -> dict[str, Any]:
        return {"eta": self.eta}

    def kept(self, scheduler: Any, call: int) -> float:
        """Eq. 12: the direction's coefficient over sigma, both in units of their alpha."""
        bar, after = self._alpha_bars(scheduler, call)
        variance = (1 - after) / (1 - bar) * (1 - bar / after)
        direction = math.sqrt(max(1 - after - self.eta**2 * variance, 0.0))
        return direction / math.sqrt(1 - bar) * math.sqrt(bar / after)

    def shift(self, scheduler: Any, call: int) -> float:
        return math.sqrt(self._alpha_bars(scheduler, call)[1])

    def _alpha_bars(self, scheduler: Any, call: int) -> tuple[float, float]:
        """alpha^2 where the step begins and where it ends: not always where the next begins."""
        t = int(scheduler.timesteps[call])
        before = t - scheduler.config.num_train_timesteps // scheduler.num_inference_steps
        after = scheduler.alphas_cumprod[before] if before >= 0 else scheduler.final_alpha_cumprod
        return float(scheduler.alphas_cumprod[t]), float(after)
