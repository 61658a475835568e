"""How far pictures are driven: values that clipping cuts off, strength of colour, spread of the final sample."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evaluation.judging import Judgement
from evaluation.samples import Samples
from evaluation.statistic import Statistic, mean, ratio


def saturation(samples: Samples, judgement: Judgement) -> Iterator[tuple[str, Statistic]]:
    """`out_of_range` and `latent_std` of what was sampled, and `chroma`: channels' max - min of coloured pixels."""
    if np.isfinite(samples.out_of_range).any():
        yield "out_of_range", mean(samples.out_of_range)
        yield "latent_std", mean(samples.latent_std)
    strength, count = judgement.chroma.T
    if count.any():
        yield "chroma", ratio(strength, count)
