"""Multistep solvers: whole timesteps, and a grid that leaves out its last point."""

from __future__ import annotations

from typing import ClassVar

from guidance.noise import Level, NoiseTable
from guidance.samplers.base import Sampler
from guidance.samplers.grid import at_times, finite, karras, levels, spaced, time_of


class MultistepSampler(Sampler):
    """A solver that remembers earlier predictions and counts its last step to zero apart."""

    karras: ClassVar[bool] = True

    def levels(self, table: NoiseTable) -> list[Level]:
        spacing = self.resolved_spacing(table)
        if spacing == "karras":
            ratios = finite(table.ratios)
            sigmas = karras(self.steps, ratios[-1], ratios[0])
            return levels(time_of(sigmas, ratios).round(), sigmas)
        return at_times(spaced(self.steps, table, spacing, between=True, rounded=True), table, exact_zero_snr=False)
