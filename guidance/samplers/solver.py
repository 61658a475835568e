"""One diffusers scheduler taking the steps of one trajectory. Imports diffusers, so only workers import it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import diffusers
import torch

from guidance.noise import NoiseTable
from guidance.prediction import Prediction
from guidance.samplers.base import Sampler

if TYPE_CHECKING:
    from torch import Generator, Tensor


CONFIG = {"_internal_dict"}
"""Where diffusers' schedulers keep their configuration."""


class Solver:
    """Takes diffusers' own steps, so every solver its users know gives the images they know.

    The sample lives in the solver's scale (x / alpha for those in sigma); `network_input` turns it into
    x = alpha * x0 + sigma * eps. Schedulers hold state, hence one per trajectory; on the host, so no step waits for
    a device.
    """

    def __init__(self, sampler: Sampler, table: NoiseTable, scheduler_config: dict[str, Any]) -> None:
        cls = getattr(diffusers, sampler.solver)
        config = scheduler_config | sampler.scheduler_options(table)
        known = inspect.signature(cls.__init__).parameters
        self.scheduler = cls(**{name: value for name, value in config.items() if name in known})
        self.scheduler.set_timesteps(sampler.steps)
        self._cut(len(sampler.levels(table)))
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(0)  # else each looks its first timestep up, and repeats confuse it
        self._given = {name for name, value in vars(self.scheduler).items() if isinstance(value, torch.Tensor)} | CONFIG
        self.sampler = sampler
        self.options = sampler.step_options()
        self.takes_generator = "generator" in inspect.signature(self.scheduler.step).parameters

    def _cut(self, calls: int) -> None:
        """Trailing spacing ends in a step too many, at t = -1, where diffusers rounds past zero (61, 121 of 1000)."""
        if len(self.scheduler.timesteps) > calls:
            self.scheduler.timesteps = self.scheduler.timesteps[:calls]
            if hasattr(self.scheduler, "sigmas"):
                ended = self.scheduler.sigmas[-1:]
                self.scheduler.sigmas = torch.cat([self.scheduler.sigmas[:calls], ended])

    def start(self, noise: Tensor) -> Tensor:
        sample: Tensor = noise * self.scheduler.init_noise_sigma
        return sample

    def network_input(self, sample: Tensor, call: int) -> Tensor:
        x: Tensor = self.scheduler.scale_model_input(sample, self.scheduler.timesteps[call])
        return x

    def kept(self, call: int) -> float | None:
        return self.sampler.kept(self.scheduler, call)

    def advance(
        self, sample: Tensor, guided: Prediction, call: int, generator: Generator, uncond: Prediction | None = None
    ) -> Tensor:
        """With `uncond`: its own step, moved by what the guided denoised estimate differs from its."""
        options = self.options | ({"generator": generator} if self.takes_generator else {})
        t = self.scheduler.timesteps[call]
        stepped = guided if uncond is None else uncond
        after: Tensor = self.scheduler.step(stepped.value, t, sample, return_dict=False, **options)[0]
        if uncond is None:
            return after
        return after + self.shift(call) * (guided.denoised - uncond.denoised)

    def shift(self, call: int) -> float:
        """How far the sample moves with the denoised estimate where the noise put back stays."""
        return self.sampler.shift(self.scheduler, call)

    def state(self) -> dict[str, Any]:
        """All of the scheduler but its configuration and the tables that this makes, which its steps only read."""
        return {name: value for name, value in vars(self.scheduler).items() if name not in self._given}

    def restore(self, state: dict[str, Any]) -> None:
        vars(self.scheduler).update(state)
