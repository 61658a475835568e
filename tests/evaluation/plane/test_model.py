"""Points of the plane: each for itself, classes of several components, densities that are densities."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from evaluation.plane.canvas import height_around, lattice
from evaluation.plane.measures import Moments
from evaluation.plane.model import Plane
from guidance.models.gaussians import Gaussians
from guidance.noise import CLEAN, Level
from guidance.prediction import Prediction
from guidance.protocol import Branch

PLANE = Plane([(-0.2, 0.8), (1.3, 0.3), (-0.8, 0.2)], [0.3, 0.4, 0.5], [0, 0, 1])
LEVEL = Level.variance_preserving(0, 0.8)
GRID = lattice((-5, 5), (-5, 5), 201)
CELL = (10 / 200) ** 2


def points(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_point_in_a_crowd_has_the_answer_that_the_servable_model_gives_it_alone() -> None:
    alone = Gaussians(PLANE.means, PLANE.stds)
    x = points(7).view(-1, 2, 1, 1)
    [crowd] = PLANE.evaluate([Branch("uncond", x, LEVEL, PLANE.encode(None))])
    rows = [alone.evaluate([Branch("uncond", row, LEVEL, alone.encode(None))])[0] for row in torch.split(x, 1)]
    assert torch.equal(crowd, torch.cat(rows))


def test_the_score_of_a_class_is_the_slope_of_its_density() -> None:
    """Central differences, of a class of two components."""
    x, h = points(5), 1e-5
    branch = Branch("cond", x.view(-1, 2, 1, 1), LEVEL, PLANE.label(0))
    score = Prediction(branch.x, LEVEL, PLANE.evaluate([branch])[0], "eps").score.flatten(1)
    steps = h * torch.eye(2, dtype=torch.float64)
    up, down = ([PLANE.density(x + sign * step, 0, LEVEL).log() for step in steps] for sign in (1, -1))
    slope = torch.stack([(a - b) / (2 * h) for a, b in zip(up, down, strict=True)], 1)
    torch.testing.assert_close(score, slope, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("level", [CLEAN, LEVEL])
def test_the_density_of_a_class_has_mass_1(level: Level) -> None:
    assert float(PLANE.density(GRID, 0, level).sum()) * CELL == pytest.approx(1, abs=1e-6)


def test_a_class_is_one_of_the_classes() -> None:
    x = points(20).view(-1, 2, 1, 1)
    shares = torch.stack([PLANE.log_probability(x, LEVEL, [k]) for k in range(2)]).exp()
    torch.testing.assert_close(shares.sum(0), torch.ones_like(shares[0]))


def test_at_weight_1_the_sharpened_density_is_the_class() -> None:
    at_one = PLANE.sharpened(GRID, 1, 1.0)
    torch.testing.assert_close(at_one / (at_one.sum() * CELL), PLANE.density(GRID, 1), rtol=1e-6, atol=1e-12)


def test_a_density_on_a_grid_has_the_moments_of_its_gaussian() -> None:
    found = Moments.of(GRID, PLANE.density(GRID, 1))
    torch.testing.assert_close(found.mean, PLANE.means[2].flatten(), rtol=0, atol=1e-6)
    torch.testing.assert_close(found.covariance, 0.25 * torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-6)


def test_drawn_points_are_of_their_class() -> None:
    """Means, within four standard errors."""
    drawn = PLANE.drawn(0, 4000, seed=1)
    exact = Moments.of(GRID, PLANE.density(GRID, 0))
    errors = (exact.covariance.diagonal() / 4000).sqrt()
    assert bool(((drawn.mean(0) - exact.mean).abs() < 4 * errors).all())


def test_frechet_is_that_of_gaussians_with_axes_in_common() -> None:
    a = Moments(torch.tensor([0.0, 1.0]), torch.tensor([4.0, 1.0]).diag())
    b = Moments(torch.tensor([3.0, 1.0]), torch.tensor([1.0, 9.0]).diag())
    assert a.frechet(b) == pytest.approx(9 + (2 - 1) ** 2 + (1 - 3) ** 2)
    assert a.frechet(a) == pytest.approx(0, abs=1e-6)


def test_half_of_a_gaussian_is_within_its_median_distance() -> None:
    """exp(-r^2 / 2) is a half at the median distance."""
    wide = Plane([(0.0, 0.0)], 1.0, [0])
    height = height_around(wide.density(GRID, 0), 0.5)
    assert height == pytest.approx(0.5 / (2 * math.pi), rel=0.01)
