"""Loss-guided diffusion, Monte Carlo. Song et al. 2023 (ICML), eq. 8 and algorithm 1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance.energies.base import Estimate
from guidance.energies.shift import Shift

if TYPE_CHECKING:
    from torch import Tensor


class LGDMC(Shift):
    """DPS with the loss smoothed: the mean likelihood over several guesses of the clean picture.

    -ln mean_i exp(-loss(D(x) + r n_i)), n_i standard normal, r = sigma in units of the variance-preserving x.
    """

    paper: ClassVar[str] = "Song et al. 2023, Loss-guided diffusion models, ICML"
    neutral: ClassVar[str] = "scale = 0"

    type: Literal["lgd_mc"] = "lgd_mc"
    samples: int = Field(4, ge=1, le=32, description="guesses a gradient")
    spread: float = Field(1.0, ge=0, le=10, description="of r; 0 with one sample is DPS")

    def energy(self, denoised: Tensor, estimate: Estimate) -> Tensor:
        from torch import cat, logsumexp

        step, radius = estimate.step, self.spread * estimate.step.level.sigma
        guesses = [denoised + radius * step.noise_like(denoised) for _ in range(self.samples)]
        return math.log(self.samples) - logsumexp(-self.loss(cat(guesses), estimate), 0)
