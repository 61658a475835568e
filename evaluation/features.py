"""What the metrics of distributions look at: features and class probabilities by a classifier of clean pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.identity import fingerprint
from evaluation.samples import pictures
from evaluation.shelf import Array, Arrays, Shelf
from evaluation.source import code_digest
from evaluation.sweep import SweepProblems
from training.features import FOLDER, FeatureClassifier

PART = 100
"""Pictures whose features are kept together."""


@dataclass(frozen=True, eq=False)
class Features:
    """Of N pictures."""

    vectors: NDArray[np.float64]
    """(N, d)."""
    log_probabilities: dict[str, NDArray[np.float64]]
    """For each group (N, classes); those of a group add up to one."""


class Extractor:
    """A classifier, and the shelf of what it has seen."""

    def __init__(self, folder: Path, shelf: Shelf) -> None:
        """`folder` is a pipeline's. Raises SweepProblems where it has no classifier."""
        if not (folder / FOLDER).is_dir():
            raise SweepProblems([f"{folder / FOLDER} is missing: FID and its like need the classifier's features"])
        self._network: Any = FeatureClassifier.from_pretrained(
            folder / FOLDER, dtype=torch.float32, local_files_only=True
        ).eval()
        self._shelf = shelf
        self.identity = fingerprint(folder, (FOLDER,)) + code_digest(["training.features"])

    def features(self, pixels: Array) -> Features:
        """Of pictures (N, H, W, 3), bytes."""
        parts = [self._part(pixels[start : start + PART]) for start in range(0, len(pixels), PART)]
        vectors = np.concatenate([part["vectors"] for part in parts]).astype(np.float64)
        log = np.concatenate([part["log"] for part in parts]).astype(np.float64)
        return Features(vectors, {name: log[:, columns] for name, columns in _columns(self._network.groups.items())})

    def _part(self, pixels: Array) -> Arrays:
        return self._shelf.kept("features", [self.identity, pixels], lambda: self._computed(pixels))

    @torch.no_grad()
    def _computed(self, pixels: Array) -> Arrays:
        vectors = self._network.features(pictures(pixels))
        return {"vectors": vectors.numpy(), "log": self._network.read(vectors)[0].numpy()}


def _columns(groups: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, slice]]:
    """Where each group's classes are, as they stand side by side."""
    start = 0
    for name, classes in groups:
        yield name, slice(start, start + len(classes))
        start += len(classes)
