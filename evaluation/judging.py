"""What pictures show and whether their captions are right, as tables of small numbers: no network is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.samples import Samples, pictures
from evaluation.shelf import Array, Arrays, Shelf
from evaluation.source import code_digest
from training.captions import Claims
from training.checker import Reading, judge, read
from training.classifier import GROUPS
from training.measure import ATTRIBUTES
from training.segments import coloured

THING = ("shape", "colour", "size")
"""Attributes of a thing; of a scene with two, a caption's words are of both."""
NOT_STATED, NOT_SEEN = -1, -1
PART = 100
"""Pictures whose readings are kept together."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """Of N pictures."""

    verdicts: NDArray[np.int8]
    """(N, ATTRIBUTES): 1 right, 0 wrong, NOT_STATED."""
    seen: dict[str, NDArray[np.int8]]
    """For each attribute the index (N,) of its class in GROUPS, or NOT_SEEN."""
    open: dict[str, NDArray[np.bool_]]
    """For each attribute whether the caption leaves it open, (N,)."""
    chroma: NDArray[np.float64]
    """(N, 2): sum over the coloured pixels of max - min of the channels, and their number."""


def judgement(samples: Samples, claims: Sequence[Claims | None], shelf: Shelf) -> Judgement:
    """Readings come from the shelf where the same pictures were read before."""
    rows = [slice(start, start + PART) for start in range(0, len(samples), PART)]
    parts = [_kept(samples.pixels[part], claims[part], shelf) for part in rows]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    seen = {name: whole[f"seen_{name}"] for name in GROUPS}
    return Judgement(whole["verdicts"], seen, {name: _open(claims, name) for name in GROUPS}, whole["chroma"])


def _kept(pixels: Array, claims: Sequence[Claims | None], shelf: Shelf) -> Arrays:
    said = [code_digest(["training.checker"]), pixels, [repr(claim) for claim in claims]]
    return shelf.kept("judged", said, lambda: _judged(pixels, claims))


def _judged(pixels: Array, claims: Sequence[Claims | None]) -> Arrays:
    shown = pictures(pixels)
    readings = [read(picture) for picture in shown]
    seen = {f"seen_{name}": np.array([_seen(reading, name) for reading in readings], np.int8) for name in GROUPS}
    verdicts = [_verdict(reading, claim) for reading, claim in zip(readings, claims, strict=True)]
    masks = coloured(shown)
    strength = ((shown.amax(1) - shown.amin(1)) * masks).sum((1, 2))
    chroma = torch.stack([strength, masks.sum((1, 2)).float()], 1).double().numpy()
    return seen | {"verdicts": np.array(verdicts, np.int8), "chroma": chroma}


def _verdict(reading: Reading, claims: Claims | None) -> list[int]:
    right = {} if claims is None else judge(reading, claims)
    return [int(right.get(name, NOT_STATED)) for name in ATTRIBUTES]


def _seen(reading: Reading, attribute: str) -> int:
    """Of the largest thing, or of the background."""
    whose = (reading.things[0] if reading.things else None) if attribute in THING else reading
    name = None if whose is None else getattr(whose, attribute)
    return GROUPS[attribute].index(name) if name in GROUPS[attribute] else NOT_SEEN


def _open(claims: Sequence[Claims | None], attribute: str) -> NDArray[np.bool_]:
    return np.array([claim is not None and _leaves_open(claim, attribute) for claim in claims], bool)


def _leaves_open(claims: Claims, attribute: str) -> bool:
    if attribute in THING:
        return len(claims.things) == 1 and getattr(claims.things[0], attribute) is None
    return getattr(claims, attribute) is None
