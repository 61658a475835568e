"""Time-step guidance. Sadat et al. 2024, arXiv:2407.02687."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.embeddings import TimestepEmbedding
from hypothesis import given
from hypothesis import strategies as st

from guidance.models.stable_diffusion import StableDiffusion
from guidance.models.time_embedding import RowTimeEmbedding, noised
from guidance.noise import Level
from guidance.perturbations import TSG
from guidance.plan import plan
from guidance.protocol import Branch, Conditions, TimeNoise, drive
from guidance.samplers import DDIM, Heun, Sampler
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory
from tests.guidance.steps import a_step, answered, noise
from tests.guidance.strategies import LAW, drawn

LEVEL = Level.variance_preserving(400.0, 1.2)
LAST = Level.variance_preserving(1000.0, 14.0)
NOISE = TimeNoise(1.5, 7)


@pytest.fixture(scope="module")
def net(folder: Path) -> StableDiffusion:
    return StableDiffusion.load(folder, "tiny", torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def rows(net: StableDiffusion) -> list[Branch]:
    """Five rows of one batch, of different noise, prompts and times."""
    shape, prompts = net.shape(net.info.width, net.info.height), ("a red star", "a ring", "", "a star", "a red ring")
    return [
        Branch("cond", noise(seed, shape, torch.float32), replace(LEVEL, t=100.0 * seed), net.encode(text or None))
        for seed, text in enumerate(prompts)
    ]


def sampled(net: StableDiffusion, sampler: Sampler, seed: int = 1, **guidance: Any) -> torch.Tensor:
    return drive(begun(net, sampler, seed, **guidance).run(), net.evaluate)


def begun(net: StableDiffusion, sampler: Sampler, seed: int = 1, **guidance: Any) -> Trajectory:
    conditions = Conditions(net.encode("a star"), net.encode(None))
    spec, shape = GuidanceSpec.model_validate(guidance), net.shape(net.info.width, net.info.height)
    return Trajectory(net, spec, sampler, conditions, shape, seed)  # type: ignore[arg-type]


# The formula


@LAW
@given(t=st.floats(0, 1000), s=st.floats(0.01, 100), alpha=st.floats(0, 10))
def test_the_noise_is_s_t_to_the_alpha(t: float, s: float, alpha: float) -> None:
    """t is the share of the model's time."""
    step = a_step(level=replace(LEVEL, t=t), noisiest=LAST)
    asked = TSG(noise_scale=s, alpha=alpha).weakened(step).time_noise
    assert asked is not None and asked.scale == pytest.approx(s * (t / 1000) ** alpha)


@LAW
@given(data=st.data(), scale=st.floats(-100, 100))
def test_the_push_is_the_scaled_difference(data: st.DataObject, scale: float) -> None:
    push, _ = answered(data.draw(drawn(TSG, scale=scale)).push(a_step()), {"cond": noise(1), "tsg": noise(2)})
    torch.testing.assert_close(push, scale * (noise(1) - noise(2)))


@LAW
@given(weight=st.floats(-20, 20))
def test_alone_it_is_the_authors_extrapolation_at_a_weight_more(weight: float) -> None:
    """D(t~) + w (D(t) - D(t~)) = D(t) + (w - 1) (D(t) - D(t~))."""
    push, _ = answered(TSG(scale=weight - 1).push(a_step()), {"cond": noise(1), "tsg": noise(2)})
    expected = noise(2) + weight * (noise(1) - noise(2))
    torch.testing.assert_close(noise(1) + push, expected, rtol=1e-12, atol=1e-11)


def test_only_the_time_s_embedding_differs_from_the_conditional_branch() -> None:
    step = a_step()
    weak = TSG().weakened(step)
    assert replace(weak, name="cond", time_noise=None) is not weak and weak.time_noise is not None
    assert (weak.x is step.cond.x, weak.level is step.level, weak.cond is step.cond.cond) == (True, True, True)


# Self-check: s = 0 gives c


def test_no_noise_is_the_conditional_prediction(net: StableDiffusion, rows: list[Branch]) -> None:
    still = replace(rows[0], time_noise=replace(NOISE, scale=0.0))
    assert torch.equal(net.evaluate([still])[0], net.evaluate([rows[0]])[0])


def test_no_noise_evaluates_nothing(net: StableDiffusion) -> None:
    for off in ({"noise_scale": 0}, {"scale": 0}):
        spec = GuidanceSpec.model_validate({"perturbation": [{"type": "tsg"} | off]})
        assert [call.nfe for call in plan(spec, DDIM(steps=3), net.info).calls] == [2, 2, 2]
        without = sampled(net, DDIM(steps=3))
        assert torch.equal(sampled(net, DDIM(steps=3), perturbation=[{"type": "tsg"} | off]), without)


# In the network


def test_the_noise_is_gaussian_of_its_scale_and_of_its_seed() -> None:
    embedding = 3 * noise(5, (40_000,), torch.float32)
    absolute, relative = (noised(embedding, TimeNoise(0.5, 3, relative)) - embedding for relative in (False, True))
    assert float(absolute.mean()) == pytest.approx(0, abs=0.01)
    assert float(absolute.std()) == pytest.approx(0.5, rel=0.01)
    torch.testing.assert_close(relative, absolute * embedding.std(), rtol=1e-4, atol=1e-4)
    assert torch.equal(noised(embedding, TimeNoise(0.5, 3)), noised(embedding, TimeNoise(0.5, 3)))
    assert not torch.equal(noised(embedding, TimeNoise(0.5, 4)), noised(embedding, TimeNoise(0.5, 3)))


def test_it_is_put_on_what_the_trained_embedding_says(net: StableDiffusion) -> None:
    """After its last layer, where the embedding of a class is added in networks that have one; in its row alone."""
    sinusoids = noise(1, (3, net.unet.time_embedding.linear_1.in_features), torch.float32)
    with torch.no_grad():
        plain = TimestepEmbedding.forward(net.unet.time_embedding, sinusoids)
        asked = net.unet.time_embedding(sinusoids, [None, NOISE])
    assert isinstance(net.unet.time_embedding, RowTimeEmbedding)
    assert torch.equal(asked[1], noised(plain[1], NOISE))
    assert torch.equal(asked[0], plain[0]) and torch.equal(asked[2], plain[2])


@pytest.mark.parametrize("relative", [True, False])
def test_a_row_that_asks_changes_no_other_and_does_not_depend_on_them(
    net: StableDiffusion, rows: list[Branch], relative: bool
) -> None:
    """Bit for bit, at every size of the batch and in every place."""
    plain = net.evaluate(rows)
    asking = [replace(row, name="tsg", time_noise=TimeNoise(1.5, seed, relative)) for seed, row in enumerate(rows)]
    alone = [net.evaluate([row])[0] for row in asking]
    for place in range(len(rows)):
        mixed = net.evaluate([*rows[:place], asking[place], *rows[place + 1 :]])
        assert [torch.equal(a, b) for a, b in zip(plain, mixed, strict=True)] == [k != place for k in range(len(rows))]
        assert torch.equal(mixed[place], alone[place])
    for a, b in zip(net.evaluate(asking), alone, strict=True):
        assert torch.equal(a, b)


# In a trajectory


def test_a_picture_depends_on_its_seed_alone(net: StableDiffusion) -> None:
    tsg = {"perturbation": [{"type": "tsg"}]}
    first, again, other = (sampled(net, DDIM(steps=3), seed, **tsg) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert not torch.equal(first, sampled(net, DDIM(steps=3)))


def test_the_noise_is_drawn_once_a_step(net: StableDiffusion) -> None:
    """Both evaluations of Heun's step get it."""
    seeds = []
    run = begun(net, Heun(steps=3), perturbation=[{"type": "tsg"}]).run()
    asked = next(run)
    try:
        while True:
            seeds += [branch.time_noise.seed for branch in asked if branch.time_noise]
            asked = run.send(net.evaluate(asked))
    except StopIteration:
        pass
    first, second, third, fourth, fifth = seeds
    assert (first, third) == (second, fourth) and len({first, third, fifth}) == 3


def test_the_solver_s_noise_is_the_same_with_it(net: StableDiffusion) -> None:
    """At a scale that adds nothing that can be seen."""
    barely = [{"type": "tsg", "scale": 1e-30}]
    sampler = DDIM(steps=3, eta=1)
    torch.testing.assert_close(sampled(net, sampler, perturbation=barely), sampled(net, sampler))
