"""What the pictures show: closed forms where there are any, and the differences that they are drawn for."""

from __future__ import annotations

import math

import pytest
import torch

from evaluation.plane import drift, fork, measures, push, sharpening, three_gaussians
from evaluation.plane.canvas import lattice
from evaluation.plane.cloud import sampled, starts
from evaluation.plane.measures import Moments
from evaluation.plane.two_classes import FAR, NEAR, PLANE
from guidance.noise import Level
from guidance.samplers import Heun

COUNT = 150


def stretched(name: str, weight: float, sampler: Heun = sharpening.SAMPLER) -> float:
    """The factor by which sampling shrinks the noise that it starts from: the map is affine for Gaussians."""
    cloud = sampled(sharpening.PAIR, sharpening.guidance(name, weight), 3, against=1, sampler=sampler)
    points, begun = cloud.points, starts(sharpening.PAIR, 3).flatten(1)
    factors = (points[1:] - points[0]) / (begun[1:] - begun[0])
    torch.testing.assert_close(factors, factors[:1, :1].expand_as(factors), rtol=1e-3, atol=0)
    return float(factors.mean())


@pytest.mark.parametrize("weight", [1.0, 2.0, 4.0])
def test_cfg_of_gaussians_ends_at_the_spread_of_its_closed_form(weight: float) -> None:
    """From the first noise level to the last, which is denoised; and near that of infinite noise."""
    sampler = Heun(steps=100, spacing="karras")
    levels = sampler.levels(sharpening.PAIR.info.noise)
    high, low = levels[0].ratio, levels[-1].ratio
    factor, end = 1.0, 0.0
    for std, share in ((sharpening.COND_STD, weight), (sharpening.NULL_STD, 1 - weight)):
        factor *= ((std**2 + low**2) / (std**2 + high**2)) ** (share / 2)
        end += share * std**2 / (std**2 + low**2)
    found = stretched("CFG", weight, sampler)
    assert found == pytest.approx(high * factor * end, rel=0.01)
    assert found == pytest.approx(sharpening.cfg_std(weight), rel=0.05)


@pytest.mark.parametrize("weight", [2.0, 4.0])
def test_characteristic_guidance_ends_at_the_product_of_gaussians(weight: float) -> None:
    assert stretched("Characteristic", weight) == pytest.approx(sharpening.product_std(weight), rel=0.02)


@pytest.mark.parametrize("weight", [2.0, 4.0])
def test_the_product_of_gaussians_has_the_moments_of_its_closed_form(weight: float) -> None:
    grid = lattice((-3, 3), (-3, 3))
    found = Moments.of(grid, sharpening.product(grid, weight))
    variance = sharpening.product_std(weight) ** 2
    mean = weight * 0.6 / sharpening.COND_STD**2 * variance
    torch.testing.assert_close(found.mean, torch.tensor([mean, 0], dtype=torch.float64), rtol=0, atol=1e-6)
    torch.testing.assert_close(found.covariance, variance * torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-6)


def test_guided_samples_of_three_gaussians_go_past_their_sharpened_density() -> None:
    """At w = 1 they do not: twice the standard error of the mean is 0.1."""
    grid = lattice((-4, 4), (-4, 4))
    for weight, (least, most) in {1.0: (-0.1, 0.1), 3.0: (0.3, 1.0)}.items():
        points = sampled(three_gaussians.PLANE, three_gaussians.guidance(weight), COUNT).points
        _, density, samples, *_ = three_gaussians.row(weight, points, grid)
        assert least < samples - density < most


def test_the_interval_brings_the_points_back_to_their_modes() -> None:
    plain, constant, interval = (sampled(PLANE, spec, COUNT) for spec in drift.SPECS.values())
    distances = [measures.squared_distance(PLANE, cloud.points, 0) for cloud in (plain, constant, interval)]
    near = [float(measures.shares_of_components(PLANE, cloud.points, 0)[NEAR]) for cloud in (plain, constant, interval)]
    assert distances[2] < distances[0] < distances[1]
    assert near[1] < 0.3 and abs(near[2] - near[0]) < 0.1
    assert max(drift.drifts(interval)) < max(drift.drifts(constant)) / 2
    assert interval.evaluations < constant.evaluations


def test_points_of_the_class_itself_do_not_drift() -> None:
    level, points = Level.variance_preserving(0, 0.8), PLANE.drawn(0, 4000, seed=5)
    noise = torch.randn(4000, 2, generator=torch.Generator().manual_seed(6), dtype=PLANE.dtype)
    assert measures.drift(PLANE, level.alpha * points + level.sigma * noise, 0, level) < 4 * math.sqrt(2 / 4000)


def test_components_are_told_apart() -> None:
    means = PLANE.means.flatten(1)[[FAR, NEAR, FAR]]
    assert measures.components(PLANE, means, 0).tolist() == [FAR, NEAR, FAR]
    assert measures.squared_distance(PLANE, means, 0) == 0


def test_the_push_is_one_for_all_in_much_noise_and_none_in_little() -> None:
    """In infinite noise it is the difference of the means of the class and of all."""
    means = PLANE.means.flatten(1)
    apart = float((means[PLANE.of(0)].mean(0) - means.mean(0)).norm())
    (high, same), (low, _) = push.felt(100.0), push.felt(0.05)
    assert high == pytest.approx(apart, rel=0.02) and same == pytest.approx(1, abs=0.01)
    assert low < high / 20


def test_autoguidance_removes_outliers_and_keeps_the_branches_that_cfg_loses() -> None:
    shown = ("model, w = 1", "CFG, w = 3", "autoguidance, w = 2")
    model, cfg, auto = (fork.numbers(fork.cloud(name, COUNT).points) for name in shown)
    outliers, near = 0, 3
    assert auto[outliers] < 0.5 * model[outliers] < cfg[outliers]
    assert auto[near] == pytest.approx(model[near], abs=0.05) and cfg[near] < model[near] / 2
