"""Fréchet distances whose value is known, and their agreement with torchmetrics on the same features."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

from evaluation.fid import Gaussian, distance, fid

D = 6


class AsTheyAre(nn.Module):
    """In place of Inception: what comes in are the features."""

    num_features = D

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def gaussian(mean: float, variances: list[float]) -> Gaussian:
    return Gaussian(np.full(len(variances), mean), np.diag(variances))


def test_between_gaussians_with_aligned_axes_it_is_that_of_their_means_and_deviations() -> None:
    a, b = gaussian(0, [1, 4, 9]), gaussian(2, [4, 4, 1])
    assert distance(a, b) == pytest.approx(3 * 2**2 + 1 + 0 + 4)


def test_it_is_the_same_in_any_rotation() -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    a, b = gaussian(0, [1, 4, 9]), gaussian(2, [4, 4, 1])
    turned = [Gaussian(turn @ g.mean, turn @ g.covariance @ turn.T) for g in (a, b)]
    assert distance(turned[0], turned[1]) == pytest.approx(distance(a, b))


def test_a_set_is_at_distance_zero_from_itself_even_where_its_covariance_is_singular() -> None:
    features = np.random.default_rng(1).normal(size=(4, D))
    assert distance(Gaussian.of(features), Gaussian.of(features)) == pytest.approx(0, abs=1e-6)


def test_counting_rows_is_repeating_them() -> None:
    features, counts = np.random.default_rng(2).normal(size=(5, D)), np.array([2.0, 0, 1, 3, 1])
    repeated, weighted = Gaussian.of(np.repeat(features, counts.astype(int), 0)), Gaussian.of(features, counts)
    np.testing.assert_allclose(weighted.mean, repeated.mean)
    np.testing.assert_allclose(weighted.covariance, np.cov(np.repeat(features, counts.astype(int), 0).T), atol=1e-12)


def test_torchmetrics_says_the_same_of_the_same_features() -> None:
    draw = np.random.default_rng(3)
    real, generated = draw.normal(size=(300, D)) @ draw.normal(size=(D, D)), 0.7 * draw.normal(size=(200, D)) + 0.3
    theirs = FrechetInceptionDistance(feature=AsTheyAre()).set_dtype(torch.float64)
    theirs.update(torch.from_numpy(real), real=True)
    theirs.update(torch.from_numpy(generated), real=False)
    ours = fid(generated, Gaussian.of(real))(np.ones(200))
    assert ours == pytest.approx(float(theirs.compute()), rel=1e-4)
