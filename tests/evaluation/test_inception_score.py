"""Inception Scores of tables whose value is known, and their agreement with torchmetrics on the same probabilities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.image.inception import InceptionScore

from evaluation.inception_score import inception_score


class AsTheyAre(nn.Module):
    """In place of Inception: what comes in are the logits."""

    num_features = 5

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits


def certain(classes: list[int], count: int) -> np.ndarray:
    """Log probabilities of images whose class is beyond doubt."""
    with np.errstate(divide="ignore"):
        return np.log(np.eye(count)[classes]).clip(-1e3)


def test_certain_and_even_is_the_number_of_classes() -> None:
    assert inception_score({"a": certain([0, 1, 2, 3], 4)})(np.ones(4)) == pytest.approx(4)


def test_saying_the_same_of_each_image_is_one() -> None:
    assert inception_score({"a": np.log(np.tile([0.7, 0.2, 0.1], (6, 1)))})(np.ones(6)) == pytest.approx(1)


def test_groups_multiply() -> None:
    groups = {"a": certain([0, 1, 2, 3], 4), "b": certain([0, 1, 0, 1], 2)}
    assert inception_score(groups)(np.ones(4)) == pytest.approx(4 * 2)


def test_an_image_that_does_not_count_is_as_if_it_were_not_there() -> None:
    log = certain([0, 1, 2, 3], 4)
    assert inception_score({"a": log})(np.array([2.0, 2, 0, 0])) == pytest.approx(2)


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore` will save all", "ignore:std")  # over one split
def test_torchmetrics_says_the_same_of_the_same_logits() -> None:
    logits = torch.from_numpy(2 * np.random.default_rng(0).normal(size=(200, 5)))
    theirs = InceptionScore(feature=AsTheyAre(), splits=1)
    theirs.update(logits)
    ours = inception_score({"a": logits.log_softmax(1).numpy()})(np.ones(200))
    assert ours == pytest.approx(float(theirs.compute()[0]), rel=1e-4)
