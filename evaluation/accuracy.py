"""How often pictures show what their captions say: judged attribute by attribute by the analytic checker."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evaluation.judging import NOT_STATED, Judgement
from evaluation.statistic import Statistic, ratio
from training.measure import ATTRIBUTES


def accuracy(judgement: Judgement) -> Iterator[tuple[str, Statistic]]:
    """`accuracy`: captions right in all that they state; then each attribute, over the captions that state it."""
    stated = judgement.verdicts != NOT_STATED
    right = (judgement.verdicts == 1) | ~stated
    judged = stated.any(1)
    if judged.any():
        yield "accuracy", ratio((right.all(1) & judged).astype(np.float64), judged.astype(np.float64))
    for place, name in enumerate(ATTRIBUTES):
        if stated[:, place].any():
            said = stated[:, place]
            yield f"accuracy_{name}", ratio((right[:, place] & said).astype(np.float64), said.astype(np.float64))
