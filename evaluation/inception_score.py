"""The Inception Score with our own classifier. Salimans et al. 2016, arXiv:1606.03498, section 4.

exp E KL(p(y | x), p(y)): high where each picture is certain and all of them differ. The classifier answers several
groups of classes (colours, shapes, ...) independently, so y is one class of each, p(y | x) the groups' product, and the
score the product of the groups' scores: KL divergences of independent parts add up.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from evaluation.statistic import Statistic, Weights

Floats = NDArray[np.float64]
TINY = float(np.finfo(np.float64).tiny)
GROUPS = ("colour", "shape", "layout", "pattern", "tone")
"""Those of the classifier's that say different things of a scene."""


def divergence(log_probabilities: Floats) -> Statistic:
    """Mean of KL(p(y | x), p(y)) in nats over the images, for log p(y | x) (N, classes)."""
    probabilities = np.exp(log_probabilities)
    own = (probabilities * log_probabilities).sum(1)

    def statistic(weights: Weights) -> float:
        share = weights / weights.sum()
        marginal = share @ probabilities
        return float(share @ own - (marginal * np.log(marginal.clip(TINY))).sum())

    return statistic


def inception_score(groups: Mapping[str, Floats]) -> Statistic:
    """Of log p(y | x) (N, classes) for each group of classes."""
    each = [divergence(log) for log in groups.values()]
    return lambda weights: float(np.exp(sum(one(weights) for one in each)))
