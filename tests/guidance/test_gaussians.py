"""The analytic mixture: itself held against independent formulas, since the oracles stand on it."""

from __future__ import annotations

import math

import pytest
import torch

from guidance.models.gaussians import LABELS, SIZE, Gaussians
from guidance.noise import Level
from guidance.prediction import Prediction
from guidance.protocol import Branch
from tests.guidance.steps import noise
from tests.oracles import Pair

MEANS, STDS = noise(5, (3, 1, 2, 2)), torch.tensor([0.3, 0.5, 0.9], dtype=torch.float64)
MIXTURE = Gaussians(MEANS, STDS, torch.tensor([1.0, 2.0, 5.0]))


def test_one_component_is_the_denoiser_of_a_gaussian() -> None:
    pair, level, x = Pair(), Level.variance_preserving(0, 1.3), noise(1, (1, 1, 4, 4))
    model = pair.model()
    eps = model.eps(x, level.alpha, level.sigma, model.label(0).given["prior"])
    denoised = Prediction(x, level, eps, "eps").denoised
    torch.testing.assert_close(denoised, pair.denoised(x / level.alpha, level.ratio, 1.0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ratio", [0.1, 1.0, 10.0])
def test_the_null_score_is_the_slope_of_the_noisy_mixture(ratio: float) -> None:
    """Central differences of the log-density, which is written down independently of the denoiser."""
    level, x, h = Level.variance_preserving(0, ratio), noise(7, (1, 1, 2, 2)), 1e-5
    noisy = Gaussians(level.alpha * MEANS, (level.alpha**2 * STDS**2 + level.sigma**2).sqrt(), MIXTURE.prior)
    eps = MIXTURE.eps(x, level.alpha, level.sigma, MIXTURE.encode(None).given["prior"])
    pixels = (torch.eye(4, dtype=torch.float64) * h).view(4, 1, 1, 2, 2)
    slope = [(noisy.log_density(x + step) - noisy.log_density(x - step)) / (2 * h) for step in pixels]
    score = Prediction(x, level, eps, "eps").score.flatten()
    torch.testing.assert_close(score, torch.tensor(slope, dtype=torch.float64), rtol=1e-5, atol=1e-6)


def test_the_null_condition_is_the_posterior_mean_of_the_classes() -> None:
    """D(x) = sum_k p(k | x) D_k(x), with p(k | x) from Bayes' rule on the noisy densities."""
    level, x = Level.variance_preserving(0, 0.8), noise(8, (1, 1, 2, 2))
    variances = level.alpha**2 * STDS**2 + level.sigma**2
    squares = (x - level.alpha * MEANS).flatten(1).square().sum(1)
    joint = MIXTURE.prior * torch.exp(-squares / (2 * variances)) / (2 * math.pi * variances) ** 2
    parts = [_denoised(x, level, MIXTURE.label(k).given["prior"]) for k in range(3)]
    mean = sum(weight * part for weight, part in zip(joint / joint.sum(), parts, strict=True))
    torch.testing.assert_close(_denoised(x, level, MIXTURE.encode(None).given["prior"]), mean)


def test_a_row_has_the_same_bits_in_any_batch() -> None:
    level = Level.variance_preserving(0, 0.8)
    rows = [Branch("cond", noise(seed, (1, 1, 2, 2)), level, MIXTURE.label(seed % 3)) for seed in range(5)]
    together = MIXTURE.evaluate(rows)
    assert all(torch.equal(MIXTURE.evaluate([row])[0], got) for row, got in zip(rows, together, strict=True))


def test_pictures_are_one_disc_a_colour() -> None:
    model = Gaussians.pictures()
    assert model.info.labels == tuple(LABELS)
    assert model.shape(SIZE, SIZE) == (1, 3, SIZE, SIZE) and model.info.width == model.info.height == SIZE
    assert float(model.decode(model.means).min()) >= 0 and float(model.decode(model.means).max()) <= 1


def test_a_prompt_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="'a dog': gaussians is conditioned on labels"):
        Gaussians.pictures().encode("a dog")


def _denoised(x: torch.Tensor, level: Level, prior: torch.Tensor) -> torch.Tensor:
    return Prediction(x, level, MIXTURE.eps(x, level.alpha, level.sigma, prior), "eps").denoised
