"""How varied the pictures are in what their captions leave open: entropies of what is seen, in bits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evaluation.judging import NOT_SEEN, Judgement
from evaluation.statistic import Statistic, Weights
from training.classifier import GROUPS

FEWEST = 8
"""Images with an attribute open, under which its entropy says nothing."""


def entropies(judgement: Judgement) -> Iterator[tuple[str, Statistic]]:
    """`entropy`: the mean over the attributes; then each of them, over the images whose caption leaves it open."""
    each = dict[str, Statistic]()
    for name, classes in GROUPS.items():
        counted = judgement.open[name] & (judgement.seen[name] != NOT_SEEN)
        if counted.sum() >= FEWEST:
            each[name] = _entropy(judgement.seen[name], counted, len(classes))
    if each:
        yield "entropy", lambda weights: float(np.nanmean([one(weights) for one in each.values()]))
    yield from ((f"entropy_{name}", one) for name, one in each.items())


def bits(counts: NDArray[np.float64]) -> float:
    """Entropy of the observed frequencies; NaN of none."""
    if not (total := counts.sum()):
        return float("nan")
    shares = counts[counts > 0] / total
    return float(-(shares * np.log2(shares)).sum())


def _entropy(seen: NDArray[np.int8], counted: NDArray[np.bool_], classes: int) -> Statistic:
    def statistic(weights: Weights) -> float:
        return bits(np.bincount(seen[counted], weights[counted], minlength=classes).astype(np.float64))

    return statistic
