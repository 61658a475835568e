"""How many rows one forward may have: as it is set, or as many as the device's memory has room for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import torch

from guidance.models.base import Model
from guidance.models.graphs import SIZES
from guidance.noise import Level
from guidance.protocol import Branch
from jobs.settings import Settings

log = logging.getLogger(__name__)

ROWS = 16
"""Where nothing is set and memory is not asked."""
MOST = 64
"""Beyond it a GPU gains nothing, and each step takes longer."""
SHARE = 0.8
"""Of the free memory; the rest is for images of other sizes and for methods that keep more."""
SAMPLES = (2, 8)
"""Rows of the two forwards that are measured."""


def row_budget(settings: Settings, models: Iterable[Model]) -> int:
    """Rows of one forward, of whichever model. Where memory runs out all the same, the batcher makes smaller ones."""
    if settings.pad_to_rows or settings.max_batch_rows:
        return min(filter(None, (settings.pad_to_rows, settings.max_batch_rows)))
    rows = [_by_memory(model, settings) for model in models if model.device.type == "cuda"]
    return min(rows, default=ROWS)


def rows_that_fit(free: float, few: tuple[int, float], many: tuple[int, float]) -> int:
    """Rows in `free` bytes where forwards of `few` and of `many` rows took so many bytes: (rows, bytes) each.

    A canonical size, so that padding does not exceed it; 1 where not even the smallest fits.
    """
    per_row = max((many[1] - few[1]) / (many[0] - few[0]), 1.0)
    base = few[1] - per_row * few[0]
    rows = min((free - base) / per_row, MOST)
    return max((size for size in SIZES if size <= rows), default=1)


def _by_memory(model: Model, settings: Settings) -> int:
    """Measured at the model's own image size, beside the decoding of one image."""
    if model.info.condition != "text":
        return ROWS
    try:
        decoding = _peak(model, lambda: model.decode(_branches(model, 1)[0].x))
        few, many = ((rows, _evaluating(model, rows)) for rows in SAMPLES)
    except torch.OutOfMemoryError:
        return 1
    torch.cuda.empty_cache()
    free = SHARE * torch.cuda.mem_get_info(model.device)[0] - decoding
    # Recorded forwards keep memory of their own, beside those that run as they come.
    rows = rows_that_fit(free / 2 if settings.graphs == "auto" else free, few, many)
    log.info("model %s: %d rows in one forward, by memory", model.info.id, rows)
    return rows


def _evaluating(model: Model, rows: int) -> int:
    return _peak(model, lambda: model.evaluate(_branches(model, rows)))


@torch.no_grad()
def _peak(model: Model, work: Callable[[], object]) -> int:
    """Bytes that `work` takes at its worst moment, beyond those that are taken already."""
    torch.cuda.reset_peak_memory_stats(model.device)
    before = torch.cuda.memory_allocated(model.device)
    work()
    return torch.cuda.max_memory_allocated(model.device) - before


def _branches(model: Model, rows: int) -> list[Branch]:
    shape, level = model.shape(model.info.width, model.info.height), Level.variance_preserving(1.0, 1.0)
    x = torch.zeros(shape, dtype=model.dtype, device=model.device)
    return [Branch("cond", x, level, model.encode(None))] * rows
