"""What every benchmark is given: the model on both sides, how often to repeat, and a clock."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import torch
from rich.progress import Progress

from benchmarks.ours import Ours
from benchmarks.stock import Stock
from benchmarks.workloads import Workload, requests
from guidance.models.stable_diffusion import StableDiffusion
from jobs.request import GenerationRequest as Request
from jobs.settings import Settings
from workers.budget import row_budget
from workers.loading import SHIPPED, ModelError, execution, load, pick_device, pick_dtype

WARM_UP_STEPS = 2
N = TypeVar("N", bound=Hashable)
Way = Callable[[int], object]
"""One way of doing something, told the number of the repetition; 0 is the warm-up."""


@dataclass(frozen=True)
class Bench:
    """One run of the benchmarks. `folder` is where reports and logs go."""

    source: str
    settings: Settings
    repetitions: int
    specs: int
    quick: bool
    folder: Path
    progress: Progress

    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @cached_property
    def path(self) -> str:
        """The model's folder, or its hub id."""
        shipped = SHIPPED / self.source
        path = shipped if shipped.is_dir() else Path(self.source).expanduser()
        return str(path.absolute()) if path.is_dir() else self.source

    @property
    def id(self) -> str:
        return Path(self.path).name

    @cached_property
    def device(self) -> torch.device:
        return pick_device(self.settings.device)

    @cached_property
    def dtype(self) -> torch.dtype:
        return pick_dtype(self.settings.dtype, self.device, self.path)

    @cached_property
    def model(self) -> StableDiffusion:
        model = load(self.id, self.path, self.device, self.dtype, execution(self.settings))
        if not isinstance(model, StableDiffusion):
            raise ModelError(f"{self.source} is not a Stable Diffusion folder: there is nothing to compare it with")
        return model

    @cached_property
    def ours(self) -> Ours:
        ours = Ours(self.model, self.rows)
        if not self.quick:
            ours.warm_up(self.rows)
        return ours

    @cached_property
    def rows(self) -> int:
        """At most in one forward."""
        return row_budget(self.settings, [self.model])

    @cached_property
    def stock(self) -> Stock:
        """Loaded apart from ours, which changes its copy's memory format and layers."""
        return Stock(self.path, self.device, self.dtype)

    def batches(self, workload: Workload) -> list[list[Request]]:
        """The workload once for the warm-up, in two steps, and once for each repetition; two where it must be quick."""
        steps = WARM_UP_STEPS if self.quick else None
        warm_up = self.drawn(workload, WARM_UP_STEPS)
        return [warm_up, *(self.drawn(workload, steps) for _ in range(self.repetitions))]

    def drawn(self, workload: Workload, steps: int | None = None) -> list[Request]:
        """The workload with prompts that no one had before; `steps` caps the steps of each."""
        return requests(workload, self.model.info, self._numbers, steps)

    def rounds(self, label: str) -> Iterator[int]:
        """The repetitions by number, from 1, each in company of its own: there is no warm-up among them."""
        bar = self.progress.add_task(label, total=self.repetitions)
        for repetition in range(1, self.repetitions + 1):
            yield repetition
            self.progress.advance(bar)

    def few(self, count: int, quick: int) -> int:
        """`count`, or `quick` where only the plumbing is proved."""
        return min(count, quick) if self.quick else count

    def times(self, label: str, ways: Mapping[N, Way], repetitions: int | None = None) -> dict[N, list[float]]:
        """Seconds of each way: all once to warm up, then A B A B ... so that both meet the same disturbances."""
        count = repetitions or self.repetitions
        bar = self.progress.add_task(label, total=(count + 1) * len(ways))
        seconds: dict[N, list[float]] = {name: [] for name in ways}
        for repetition in range(count + 1):
            for name, way in ways.items():
                spent = self._time(way, repetition)
                if repetition:
                    seconds[name].append(spent)
                self.progress.advance(bar)
        return seconds

    def _time(self, way: Way, repetition: int) -> float:
        self.wait()
        began = time.perf_counter()
        way(repetition)
        self.wait()
        return time.perf_counter() - began

    def close(self) -> None:
        """End the engine's thread, if it was ever started."""
        if "ours" in vars(self):
            self.ours.close()

    def wait(self) -> None:
        """Until the device has done what was asked of it."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
