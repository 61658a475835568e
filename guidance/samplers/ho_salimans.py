"""Ancestral sampling in continuous log-SNR. Ho & Salimans 2022, arXiv:2207.12598, algorithm 2 and section 3.1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from guidance.noise import Level, NoiseTable
from guidance.prediction import Prediction
from guidance.samplers.base import Sampler, StepSolver
from guidance.samplers.grid import finite, levels, time_of

if TYPE_CHECKING:
    from torch import Generator, Tensor


class HoSalimans(Sampler):
    """First order, stochastic: fresh noise at each step, of a variance between two bounds. Wants many steps.

    lambda = ln(alpha^2 / sigma^2) rises from lambda_min to lambda_max as -2 ln tan(a u + b), u evenly from 1 to 0; the
    model's time is interpolated. From lambda to lambda' the noise has variance s^(1-v) S^v, where s is that of the
    exact posterior given x0 and S that of the forward process.
    """

    paper: ClassVar[str] = "Ho & Salimans 2022, arXiv:2207.12598"

    type: Literal["ho_salimans"] = "ho_salimans"
    spacing: None = Field(None, description="its grid is its own")
    v: float = Field(0.3, ge=0, le=1, description="the paper's 0.3 is for 64 x 64, its 0.2 for 128 x 128")
    lambda_min: float = Field(-20.0, ge=-30, le=-1, description="cut to the model's noisiest level")
    lambda_max: float = Field(20.0, ge=1, le=30, description="cut to the model's cleanest level")

    def resolved_spacing(self, table: NoiseTable) -> None:
        return None

    def levels(self, table: NoiseTable) -> list[Level]:
        """Even in the angle whose tangent is sigma / alpha = exp(-lambda / 2)."""
        ratios = finite(table.ratios)
        ends = np.clip(np.exp([-self.lambda_min / 2, -self.lambda_max / 2]), ratios[0], ratios[-1])
        high, low = np.arctan(ends)
        grid = np.tan(np.linspace(high, low, self.steps))
        return levels(time_of(grid, ratios), grid)

    def warnings(self, table: NoiseTable) -> list[str]:
        ratios = finite(table.ratios)
        low, high = -2 * math.log(ratios[-1]), -2 * math.log(ratios[0])
        if low <= self.lambda_min and self.lambda_max <= high:
            return []
        asked = f"lambda {self.lambda_min:g} to {self.lambda_max:g}"
        return [
            f"{asked} is cut to {low:.2f} to {high:.2f} where it goes beyond: the model knows no other noise levels"
        ]

    def make_solver(self, table: NoiseTable, scheduler_config: dict[str, Any]) -> StepSolver:
        return AncestralSolver(self.levels(table), self.v)


class AncestralSolver:
    """Takes the steps of one trajectory, on x = alpha * x0 + sigma * eps itself."""

    def __init__(self, levels: list[Level], v: float) -> None:
        self.levels = levels
        self.v = v

    def start(self, noise: Tensor) -> Tensor:
        return noise

    def network_input(self, sample: Tensor, call: int) -> Tensor:
        return sample

    def kept(self, call: int) -> None:
        """CFG++ is not defined for it."""

    def advance(
        self, sample: Tensor, guided: Prediction, call: int, generator: Generator, uncond: Prediction | None = None
    ) -> Tensor:
        """The last step ends in the denoised estimate."""
        if call + 1 == len(self.levels):
            return guided.denoised
        of_sample, of_denoised, deviation = self.coefficients(self.levels[call], self.levels[call + 1])
        noise = sample.new_empty(sample.shape, device="cpu").normal_(generator=generator).to(sample.device)
        return of_sample * sample + of_denoised * guided.denoised + deviation * noise

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """It carries nothing from call to call."""

    def coefficients(self, here: Level, there: Level) -> tuple[float, float, float]:
        """What the sample, the denoised estimate and the noise count for in a step to a cleaner level."""
        fresh = -math.expm1(here.log_snr - there.log_snr)  # 1 - exp(lambda - lambda')
        of_sample = here.alpha / there.alpha * (there.sigma / here.sigma) ** 2  # exp(lambda - lambda') alpha' / alpha
        deviation = math.sqrt(fresh) * there.sigma ** (1 - self.v) * here.sigma**self.v
        return of_sample, fresh * there.alpha, deviation
