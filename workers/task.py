"""One request as the engine sees it, and what comes of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from guidance.checkpoint import Packed
from guidance.pictures import Frame
from jobs.request import GenerationRequest
from workers.checkpoint import Checkpoint

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Progress:
    """How far a request has come: the step of its slowest image, evaluations over all of them."""

    step: int
    steps: int
    nfe_done: int
    nfe_total: int


@dataclass(frozen=True, eq=False)
class Preview:
    """The denoised estimate of one image at a step, (H, W, 3) bytes."""

    index: int
    step: int
    pixels: Pixels


@dataclass(frozen=True, eq=False)
class Image:
    """One finished image, (H, W, 3) bytes, with the numbers of its trajectory."""

    index: int
    seed: int
    pixels: Pixels
    columns: dict[str, list[float | None]]
    summary: dict[str, float | None]
    pictures: dict[str, list[Frame]] = field(default_factory=dict)
    """Maps that methods left, over the steps; at detail `full` only."""


@dataclass(frozen=True)
class Usage:
    """What a request cost. Seconds are wall time in the engine."""

    nfe: int
    run_seconds: float
    mean_batch_rows: float


@dataclass(frozen=True, eq=False)
class Outcome:
    """The end of a request in this process. `reason` and `detail` say why it did not succeed.

    A failure of some images alone leaves the others in `images`.
    """

    status: Literal["succeeded", "failed", "canceled", "released"]
    images: tuple[Image, ...] = ()
    usage: Usage | None = None
    reason: str | None = None
    detail: str | None = None


@dataclass(eq=False)
class Task:
    """One request in flight. The engine puts what happens into `updates`, the last of which is the Outcome."""

    id: str
    request: GenerationRequest
    deadline: float | None = None
    """time.monotonic() after which it fails."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What log lines about it carry."""
    resumes: Packed | None = None
    """The states that its images go on from, of a checkpoint; None: from the beginning."""
    checkpoint_seconds: float = 0.0
    """How often a checkpoint is made; 0: never."""
    checkpoint_bytes: int = 2**63
    """Size of the largest that is."""
    updates: SimpleQueue[Progress | Preview | Checkpoint | Outcome] = field(default_factory=SimpleQueue)
    canceled: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    """Set when this process has to leave."""
