"""Noise levels: the pair (alpha, sigma) of x = alpha * x0 + sigma * eps, and the table a model was trained with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from guidance.memory import remembered

Array = NDArray[np.float64]


@remembered
@dataclass(frozen=True, slots=True)
class Level:
    """A noise level. `t` is the network's own clock; everything else in this package speaks of alpha and sigma."""

    t: float
    alpha: float
    sigma: float

    @classmethod
    def variance_preserving(cls, t: float, ratio: float) -> Level:
        """The level with sigma / alpha = `ratio` and alpha^2 + sigma^2 = 1; `ratio` may be infinite."""
        if math.isinf(ratio):
            return cls(t, 0.0, 1.0)
        norm = math.hypot(1.0, ratio)
        return cls(t, 1.0 / norm, ratio / norm)

    @property
    def ratio(self) -> float:
        """sigma / alpha, which is Karras' sigma: the unit of intervals and schedules. Infinite at zero signal."""
        return self.sigma / self.alpha if self.alpha else math.inf

    @property
    def log_snr(self) -> float:
        """ln(alpha^2 / sigma^2)."""
        if not self.alpha:
            return -math.inf
        return 2 * math.log(self.alpha / self.sigma) if self.sigma else math.inf


CLEAN = Level(0.0, 1.0, 0.0)
"""Where sampling ends; no network is asked there."""

ZERO_SIGNAL = Level(0.0, 0.0, 1.0)


class NoiseTable(BaseModel):
    """The discrete noise schedule of a variance-preserving model, under the names of diffusers' scheduler configs."""

    model_config = ConfigDict(frozen=True)

    num_train_timesteps: int = Field(1000, ge=2)
    beta_start: float = 1e-4
    beta_end: float = 2e-2
    beta_schedule: Literal["linear", "scaled_linear", "squaredcos_cap_v2"] = "linear"
    trained_betas: tuple[float, ...] | None = None
    rescale_betas_zero_snr: bool = False
    steps_offset: int = 0
    timestep_spacing: Literal["leading", "trailing", "linspace"] = "trailing"

    @cached_property
    def ratios(self) -> Array:
        """sigma / alpha at each training timestep, (num_train_timesteps,), increasing; the last may be infinite.

        In float32 steps like diffusers', so that both floors of the service read the same levels.
        """
        alphas_cumprod = np.cumprod((1.0 - self._betas()).astype(np.float32), dtype=np.float32).astype(np.float64)
        with np.errstate(divide="ignore"):
            ratios: Array = np.sqrt((1.0 - alphas_cumprod) / alphas_cumprod)
        return ratios

    def _betas(self) -> NDArray[np.float32]:
        n = self.num_train_timesteps
        if self.trained_betas is not None:
            betas = np.asarray(self.trained_betas, dtype=np.float32)
        elif self.beta_schedule == "linear":
            betas = np.linspace(self.beta_start, self.beta_end, n, dtype=np.float32)
        elif self.beta_schedule == "scaled_linear":
            betas = np.linspace(self.beta_start**0.5, self.beta_end**0.5, n, dtype=np.float32) ** 2
        else:
            betas = _cosine_betas(n)
        return _zero_terminal_snr(betas) if self.rescale_betas_zero_snr else betas


def _cosine_betas(n: int, beta_max: float = 0.999) -> NDArray[np.float32]:
    """Nichol & Dhariwal 2021, arXiv:2102.09672, eq. 17."""
    alpha_bar = np.cos((np.arange(n + 1) / n + 0.008) / 1.008 * np.pi / 2) ** 2
    betas: NDArray[np.float32] = np.minimum(1 - alpha_bar[1:] / alpha_bar[:-1], beta_max).astype(np.float32)
    return betas


def _zero_terminal_snr(betas: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lin et al. 2023, arXiv:2305.08891, algorithm 1: shift and scale sqrt(alpha_bar) so that the last is zero."""
    root = np.sqrt(np.cumprod(1.0 - betas, dtype=np.float32))
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    bar = root**2
    alphas = np.concatenate([bar[:1], bar[1:] / bar[:-1]])
    return (1 - alphas).astype(np.float32)
