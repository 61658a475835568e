"""Shares and entropies with their 95 % intervals."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator

Z = 1.959964  # the normal distribution's 97.5 % quantile
RESAMPLES = 1000


@dataclass(frozen=True)
class Estimate:
    """A measured value, its 95 % interval, and the number of samples behind it."""

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f}-{self.high:.2f})"


def share(outcomes: Sequence[bool]) -> Estimate:
    """Share of true outcomes with Wilson's score interval (Wilson 1927); zero samples give (0, 1)."""
    n = len(outcomes)
    if n == 0:
        return Estimate(math.nan, 0.0, 1.0, 0)
    p = sum(outcomes) / n
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    return Estimate(p, max(0.0, centre - half), min(1.0, centre + half), n)


def entropy(names: Sequence[str]) -> float:
    """Entropy in bits of the observed frequencies."""
    return sum(-n / len(names) * math.log2(n / len(names)) for n in Counter(names).values())


def entropy_estimate(names: Sequence[str], generator: Generator) -> Estimate:
    """Entropy with a bootstrap percentile interval. Resampling biases it downwards, so the interval leans low."""
    if not names:
        return Estimate(math.nan, 0.0, math.inf, 0)
    draws = torch.randint(len(names), (RESAMPLES, len(names)), generator=generator).tolist()
    values = sorted(entropy([names[i] for i in draw]) for draw in draws)
    return Estimate(entropy(names), values[int(0.025 * RESAMPLES)], values[int(0.975 * RESAMPLES)], len(names))
