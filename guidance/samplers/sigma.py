"""Solvers that integrate over Karras' sigma, at fractional timesteps."""

from __future__ import annotations

from typing import ClassVar

from guidance.noise import Level, NoiseTable
from guidance.samplers.base import Sampler
from guidance.samplers.grid import at_times, karras_levels, spaced


class SigmaSampler(Sampler):
    """A solver in sigma: its grid may fall between training timesteps."""

    karras: ClassVar[bool] = True

    def levels(self, table: NoiseTable) -> list[Level]:
        spacing = self._spacing(table)
        if spacing == "karras":
            return karras_levels(self.steps, table, rounded=False)
        return at_times(spaced(self.steps, table, spacing, between=False, rounded=False), table, exact_zero_snr=False)

    def scale(self, level: Level) -> float:
        return level.alpha
