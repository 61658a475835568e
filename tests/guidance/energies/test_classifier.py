"""Classifier guidance on mixtures, whose classifier and denoisers are known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from guidance.models.gaussians import Gaussians
from guidance.noise import Level
from guidance.protocol import Conditions, drive
from guidance.samplers import DDIM, DDPM, Heun
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory
from tests.guidance.energies.evaluation import ALONE, HERE, THERE, Evaluation, mixture, noise, standard

UNCONDITIONAL = {"type": "constant", "weight": 0}


def towards(label: int, scale: float = 1.0, **fields: Any) -> list[dict[str, Any]]:
    return [{"type": "classifier", "labels": [label], "scale": scale, **fields}]


def sampled(model: Gaussians, sampler: Any, **stages: Any) -> Tensor:
    conditions = Conditions(model.label(1), model.encode(None))
    spec = GuidanceSpec.model_validate(stages)
    run = Trajectory(model, spec, sampler, conditions, model.shape(0, 0), 4)
    return drive(run.run(), model.evaluate)


@pytest.mark.parametrize("sampler", [DDIM(steps=9), Heun(steps=9), DDPM(steps=9)], ids=lambda sampler: sampler.type)
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_on_the_unconditional_base_it_is_cfg(sampler: Any, scale: float) -> None:
    """Bayes: eps_u - s sigma grad ln p(y | x) is CFG at weight s, over whole trajectories."""
    model = mixture()
    guided = sampled(model, sampler, schedule=UNCONDITIONAL, energy=towards(1, scale))
    cfg = sampled(model, sampler, schedule={"type": "constant", "weight": scale})
    torch.testing.assert_close(guided, cfg, rtol=1e-8, atol=1e-8)


def test_on_the_conditional_base_it_adds_one_to_the_weight() -> None:
    """eps_c - s sigma grad ln p(y | x) is CFG at weight 1 + s."""
    model = mixture()
    guided = sampled(model, DDIM(steps=9), schedule=ALONE, energy=towards(1, 2.0))
    cfg = sampled(model, DDIM(steps=9), schedule={"type": "constant", "weight": 3})
    torch.testing.assert_close(guided, cfg, rtol=1e-8, atol=1e-8)


def test_scale_0_is_the_base() -> None:
    model = mixture()
    stages = {"schedule": {"type": "constant", "weight": 2}}
    base = sampled(model, DDIM(steps=9), **stages)
    assert torch.equal(sampled(model, DDIM(steps=9), energy=towards(1, 0.0), **stages), base)


class Measured(Gaussians):
    """Data N(0, 1), of which a noisy measurement y = x0 + tau n was taken: p(y | x_t) is a Gaussian too."""

    y, tau = 0.7, 0.4

    def log_probability(self, x: Tensor, level: Level, classes: Sequence[int]) -> Tensor:
        """N(y; D(x), tau^2 + s^2), s^2 = sigma^2 / (1 + sigma^2) the variance of x0 given x in Karras' scale."""
        spread = level.ratio**2 / (1 + level.ratio**2)
        return (-((self.y - level.alpha * x) ** 2) / (2 * (self.tau**2 + spread))).flatten(1).sum(1)


def test_the_posterior_of_a_measurement_is_exact() -> None:
    """At scale 1: (x / sigma^2 + y / tau^2) / (1 + 1 / sigma^2 + 1 / tau^2), x and sigma in Karras' scale."""
    model = Measured(standard().means, standard().stds)
    x = noise(2, model)
    found = Evaluation(model, x).guided(schedule=ALONE, energy=towards(0)).prediction.denoised
    sigma, tau = HERE.ratio, model.tau
    exact = (x / HERE.alpha / sigma**2 + model.y / tau**2) / (1 + 1 / sigma**2 + 1 / tau**2)
    torch.testing.assert_close(found, exact, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["eps", "v", "denoised"])
def test_every_parameterisation_is_pushed_the_same(kind: Any) -> None:
    """eps - sigma G, v - sigma / alpha G, D + sigma^2 / alpha G are one prediction."""
    model = mixture()
    x = noise(2, model)
    guided = Evaluation(model, x).guided(schedule=ALONE, energy=towards(1, 2.0)).prediction
    base = Evaluation(model, x).guided(schedule=ALONE).prediction
    at = x.clone().requires_grad_()
    [gradient] = torch.autograd.grad(model.log_probability(at, HERE, [1]).sum(), at)
    step = {"eps": -HERE.sigma, "v": -HERE.sigma / HERE.alpha, "denoised": HERE.sigma**2 / HERE.alpha}[kind]
    torch.testing.assert_close(guided.view(kind), base.view(kind) + 2 * step * gradient, rtol=1e-12, atol=1e-12)


def test_the_mean_is_moved_by_the_variance_of_the_step() -> None:
    """Algorithm 1, with DDPM's posterior variance."""
    model = mixture()
    x = noise(2, model)
    guided = Evaluation(model, x).guided(schedule=ALONE, energy=towards(1, 2.0, form="mean"))
    at = x.clone().requires_grad_()
    [gradient] = torch.autograd.grad(model.log_probability(at, HERE, [1]).sum(), at)
    bar, next_bar = HERE.alpha**2, THERE.alpha**2
    variance = (1 - next_bar) / (1 - bar) * (1 - bar / next_bar)
    torch.testing.assert_close(guided.after, 2 * variance * gradient, rtol=1e-12, atol=1e-12)
    assert torch.equal(guided.prediction.value, Evaluation(model, x).guided(schedule=ALONE).prediction.value)


def test_both_forms_agree_where_steps_are_small() -> None:
    """The mean's and the score's guidance differ by the size of a step."""
    model, distances = mixture(), []
    for steps in (60, 120, 240):
        mean, score = (
            sampled(model, DDPM(steps=steps), schedule=UNCONDITIONAL, energy=towards(1, form=form))
            for form in ("mean", "score")
        )
        distances.append(float((mean - score).norm()))
    assert distances[0] > distances[1] > distances[2] and distances[0] > 2 * distances[2] > 0, distances


def test_several_classes_multiply() -> None:
    model = mixture()
    x = noise(2, model)
    both = Evaluation(model, x).guided(energy=[{"type": "classifier", "labels": [1, "2"]}]).prediction.denoised
    base, *single = (
        Evaluation(model, x).guided(energy=energy).prediction.denoised for energy in ([], towards(1), towards(2))
    )
    torch.testing.assert_close(both, single[0] + single[1] - base, rtol=1e-12, atol=1e-12)


def test_it_notes_the_class_probability_and_asks_the_network_nothing_more() -> None:
    model = mixture()
    evaluation = Evaluation(model, noise(2, model))
    evaluation.guided(schedule=ALONE, energy=towards(1))
    assert [branch.name for branch in evaluation.asked] == ["cond"]
    expected = model.log_probability(evaluation.x, HERE, [1])
    assert float(evaluation.notes["class_log_probability"]) == pytest.approx(float(expected), rel=1e-12)


def test_a_threshold_comes_before_the_gradient_and_not_after_it() -> None:
    """As in the authors' sampler: the clipped estimate is pushed by sigma^2 / alpha G, beyond the bound if need be."""
    model, bound = mixture(), 0.1
    x = noise(2, model)
    clip = [{"type": "static_threshold", "bound": bound}]
    clipped = Evaluation(model, x).guided(schedule=ALONE, correction=clip).prediction.denoised
    pushed = Evaluation(model, x).guided(schedule=ALONE, correction=clip, energy=towards(1, 5.0)).prediction.denoised
    at = x.clone().requires_grad_()
    [gradient] = torch.autograd.grad(model.log_probability(at, HERE, [1]).sum(), at)
    torch.testing.assert_close(pushed, clipped + 5 * HERE.sigma**2 / HERE.alpha * gradient, rtol=1e-12, atol=1e-12)
    assert float(clipped.abs().max()) <= bound * (1 + 1e-12) < float(pushed.abs().max())
