"""Multistep solvers: whole timesteps, and a grid that leaves out its last point."""

from __future__ import annotations

from typing import ClassVar

from guidance.noise import Level, NoiseTable
from guidance.samplers.base import Sampler
from guidance.samplers.grid import at_times, karras_levels, spaced


class MultistepSampler(Sampler):
    """A solver that remembers earlier predictions and counts its last step to zero apart."""

    karras: ClassVar[bool] = True

    def levels(self, table: NoiseTable) -> list[Level]:
        spacing = self._spacing(table)
        if spacing == "karras":
            return karras_levels(self.steps, table, rounded=True)
        return at_times(spaced(self.steps, table, spacing, between=True, rounded=True), table, exact_zero_snr=False)
