"""The other side: `StableDiffusionPipeline` as it comes, one request after another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import diffusers
import torch
from torch import Tensor

from guidance.noise import NoiseTable
from guidance.protocol import Branch
from guidance.samplers import DDIM, AnySampler
from jobs.request import GenerationRequest

WEIGHT = 5.0
"""guidance_scale where a request's schedule has no one weight: any above 1 costs the same two evaluations a step."""


class Interval:
    """CFG switched on and off at the ends of steps, as diffusers' documentation does it: `callback_on_step_end`.

    The first step is guided in any case: before it there is no callback, and the prompts are encoded for both rows.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self.weights = weights
        self._both: Tensor | None = None

    @property
    def evaluations(self) -> int:
        return 2 + sum(1 if weight == 1 else 2 for weight in self.weights[1:])

    def __call__(self, pipeline: Any, step: int, t: Any, given: dict[str, Tensor]) -> dict[str, Tensor]:
        if self._both is None:
            self._both = given["prompt_embeds"]
        if step + 1 == len(self.weights):
            return given
        weight = self.weights[step + 1]
        pipeline._guidance_scale = weight  # CFG is on where it is above 1
        return {"prompt_embeds": self._both[1:] if weight == 1 else self._both}


class Stock:
    """The same folder, device, dtype and solvers; no safety checker, progress bar, channels_last or compiling."""

    def __init__(self, path: str, device: torch.device, dtype: torch.dtype) -> None:
        self.pipeline: Any = diffusers.StableDiffusionPipeline.from_pretrained(
            path, dtype=dtype, safety_checker=None, requires_safety_checker=False, low_cpu_mem_usage=False
        )
        self.pipeline.to(device)
        self.pipeline.set_progress_bar_config(disable=True)
        self._config = dict(self.pipeline.scheduler.config)
        known = {name: value for name, value in self._config.items() if value is not None}
        self._noise = NoiseTable(**{name: known[name] for name in NoiseTable.model_fields if name in known})
        self._scheduler = cache(self._new_scheduler)

    def run(self, requests: Sequence[GenerationRequest]) -> list[Any]:
        """Plain CFG with each request's solver and steps, one after another."""
        return [self._run(request.sampler, [request]) for request in requests]

    def run_alike(self, requests: Sequence[GenerationRequest]) -> list[Any]:
        """Requests that differ in prompt and seed alone, in one call with a list of prompts."""
        return [self._run(requests[0].sampler, requests)]

    def run_in_intervals(self, requests: Sequence[GenerationRequest]) -> list[Any]:
        """As `run`, with CFG switched off by hand where a request's schedule is 1: see `Interval`."""
        return [self._run(request.sampler, [request], self.interval(request)) for request in requests]

    def interval(self, request: GenerationRequest) -> Interval:
        sampler, schedule = request.sampler, request.guidance.schedule
        levels = sampler.levels(self._noise)
        return Interval([schedule.at(step, sampler.steps, level.ratio) or 1.0 for step, level in enumerate(levels)])

    def _run(self, sampler: AnySampler, requests: Sequence[GenerationRequest], interval: Interval | None = None) -> Any:
        self.pipeline.scheduler = self._scheduler(sampler.model_copy(update={"steps": 1}))
        return self.pipeline(
            [request.prompt for request in requests],
            height=requests[0].height,
            width=requests[0].width,
            num_inference_steps=sampler.steps,
            guidance_scale=getattr(requests[0].guidance.schedule, "weight", WEIGHT),
            eta=sampler.eta if isinstance(sampler, DDIM) else 0.0,
            generator=[torch.Generator().manual_seed(request.seed or 0) for request in requests],
            callback_on_step_end=interval,
            callback_on_step_end_tensor_inputs=["prompt_embeds"],
        ).images

    def _new_scheduler(self, sampler: AnySampler) -> Any:
        """Made once per solver and spacing, whatever the steps: outside the clock after the warm-up."""
        cls = getattr(diffusers, sampler.solver)
        return cls.from_config(self._config, **sampler.scheduler_options(self._noise))

    def inputs(self, branches: Sequence[Branch]) -> tuple[Tensor, Tensor, Tensor]:
        """What the bare network takes for these branches: x (rows, C, H, W), times (rows,), text (rows, L, D)."""
        unet = self.pipeline.unet
        x = torch.cat([branch.x for branch in branches]).to(unet.dtype)
        text = torch.cat([branch.cond.embeddings["text"] for branch in branches]).to(unet.dtype)
        return x, torch.tensor([branch.level.t for branch in branches]).to(unet.device), text

    @torch.inference_mode()
    def forward(self, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """The bare network, without its pipeline."""
        output: Tensor = self.pipeline.unet(x, t, encoder_hidden_states=text, return_dict=False)[0]
        return output
