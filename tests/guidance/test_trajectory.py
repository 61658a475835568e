"""The path of one image: what it depends on, and what may be read of it on the way."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from guidance.diagnostics import Detail
from guidance.plan import plan
from guidance.protocol import Condition, Conditions, drive
from guidance.samplers import DDIM, DDPM, AnySampler, Euler, EulerAncestral, Heun
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory
from tests.guidance.steps import noise
from tests.oracles import Pair

PAIR = Pair()
MODEL = PAIR.model()


def a_trajectory(sampler: AnySampler, seed: int = 0, detail: Detail = "summary", **guidance: Any) -> Trajectory:
    """Conditions carry an embedding that the Gaussians do not read, so that CADS has something to noise."""
    embeddings = {"text": noise(9, (1, 3, 4))}
    cond, uncond = (Condition(embeddings, MODEL.label(k).given) for k in range(2))
    spec = GuidanceSpec.model_validate(guidance)
    return Trajectory(MODEL, spec, sampler, Conditions(cond, uncond), MODEL.shape(0, 0), seed, detail)


def sample(sampler: AnySampler, seed: int = 0, detail: Detail = "summary", **guidance: Any) -> Tensor:
    return drive(a_trajectory(sampler, seed, detail, **guidance).run(), MODEL.evaluate)


@pytest.mark.parametrize("sampler", [DDIM(steps=4), DDPM(steps=4), EulerAncestral(steps=4)], ids=lambda s: s.type)
def test_an_image_depends_on_its_seed_alone(sampler: AnySampler) -> None:
    assert torch.equal(sample(sampler, seed=5), sample(sampler, seed=5))
    assert not torch.equal(sample(sampler, seed=5), sample(sampler, seed=6))


def test_the_largest_seeds_are_told_apart() -> None:
    assert not torch.equal(sample(DDIM(steps=2), seed=2**32 - 1), sample(DDIM(steps=2), seed=2**32 - 2))


def test_condition_noise_does_not_touch_the_solver_s() -> None:
    """With CADS or without, an ancestral solver draws the same noise."""
    cads = [{"type": "cads", "tau1": 0, "tau2": 1}]
    assert torch.equal(sample(EulerAncestral(steps=5)), sample(EulerAncestral(steps=5), condition=cads))


def test_condition_noise_is_not_the_noise_the_image_starts_from() -> None:
    """With noise alone left of the condition, the first draw is seen; it comes from a stream of its own."""
    shape, cads = MODEL.shape(0, 0), {"type": "cads", "tau1": 0, "tau2": 0.5, "noise_scale": 1, "mixing": 0}
    cond, uncond = (Condition({"text": torch.zeros(shape)}, MODEL.label(k).given) for k in range(2))
    spec = GuidanceSpec.model_validate({"condition": [cads]})
    [first, _] = next(Trajectory(MODEL, spec, DDIM(steps=4), Conditions(cond, uncond), shape, 5).run())
    start = torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float32)
    assert float(first.cond.embeddings["text"].std()) > 0.1
    assert not torch.allclose(first.cond.embeddings["text"], start)


@pytest.mark.parametrize("detail", ["off", "full"])
def test_looking_changes_nothing(detail: Detail) -> None:
    assert torch.equal(sample(DDPM(steps=4)), sample(DDPM(steps=4), detail=detail))


@pytest.mark.parametrize("sampler", [DDIM(steps=4), Heun(steps=4)], ids=lambda s: s.type)
def test_progress_counts_steps_calls_and_evaluations(sampler: AnySampler) -> None:
    trajectory = a_trajectory(sampler)
    run = trajectory.run()
    branches = next(run)
    for call in trajectory.plan.calls:
        assert (trajectory.steps_done, trajectory.nfe_done) == (call.step, 2 * trajectory.calls_done)
        try:
            branches = run.send(MODEL.evaluate(branches))
        except StopIteration:
            break
    assert (trajectory.steps_done, trajectory.nfe_done) == (sampler.steps, trajectory.plan.nfe)


def test_the_latest_guided_prediction_may_be_shown() -> None:
    trajectory = a_trajectory(DDIM(steps=4), schedule={"type": "constant", "weight": 1})
    assert trajectory.guided is None
    run = trajectory.run()
    [branch] = next(run)
    run.send(MODEL.evaluate([branch]))
    assert trajectory.guided is not None
    exact = PAIR.denoised(branch.x / branch.level.alpha, branch.level.ratio, 1.0)
    torch.testing.assert_close(trajectory.guided.denoised, exact)


def test_an_empty_interval_is_the_conditional_model() -> None:
    nowhere = {"type": "interval", "weight": 9, "sigma_low": 900, "sigma_high": 901}
    plain = sample(Euler(steps=5), schedule={"type": "constant", "weight": 1})
    for combiner in ("cfg", "base_norm", "t_norm", "full_norm"):
        assert torch.equal(sample(Euler(steps=5), schedule=nowhere, combiner={"type": combiner}), plain)


def test_an_interval_of_everything_is_cfg() -> None:
    everywhere = {"type": "interval", "weight": 3, "sigma_low": 0, "sigma_high": None}
    plain = sample(Euler(steps=5), schedule={"type": "constant", "weight": 3})
    assert torch.equal(sample(Euler(steps=5), schedule=everywhere), plain)


@pytest.mark.parametrize(("weight", "nfe"), [(1.0, 5), (0.0, 10), (3.0, 10)])
def test_a_correction_has_the_branches_it_needs(weight: float, nfe: int) -> None:
    """Rescale reads the conditional prediction even where the weight is 0."""
    schedule = {"type": "constant", "weight": weight}
    trajectory = a_trajectory(DDIM(steps=5), schedule=schedule, correction=[{"type": "rescale"}])
    drive(trajectory.run(), MODEL.evaluate)
    assert trajectory.nfe_done == trajectory.plan.nfe == nfe


def test_corrections_apply_in_the_order_given() -> None:
    """Clipped last, the final estimate of a solver that ends in it lies within the bound."""
    clip, stretch = {"type": "static_threshold", "bound": 0.5}, {"type": "rescale", "phi": 1}
    strong = {"type": "constant", "weight": 8}
    last = sample(Euler(steps=5), schedule=strong, correction=[stretch, clip])
    first = sample(Euler(steps=5), schedule=strong, correction=[clip, stretch])
    assert float(last.abs().max()) <= 0.5 + 1e-6 and not torch.equal(first, last)


# The plan


def test_a_plan_warns_of_an_interval_that_no_level_meets() -> None:
    nowhere = {"type": "interval", "sigma_low": 900, "sigma_high": 901}
    planned = plan(GuidanceSpec.model_validate({"schedule": nowhere}), DDIM(steps=5), MODEL.info)
    assert any("guidance is off at every step" in warning for warning in planned.warnings)
    assert (planned.nfe, planned.plain_nfe) == (5, 10)


def test_a_plan_warns_of_weights_below_zero() -> None:
    spec = GuidanceSpec.model_validate({"schedule": {"type": "cosine", "max_weight": 2, "min_weight": -3}})
    [warning] = plan(spec, DDIM(steps=5), MODEL.info).warnings
    assert warning.startswith("the weight falls to -2.5")


def test_a_plan_of_plain_guidance_warns_of_nothing() -> None:
    assert plan(GuidanceSpec(), DDIM(steps=5), MODEL.info).warnings == ()


def test_where_steps_begin_is_told_to_every_step() -> None:
    """tau is read off the noise of a step that is still to come."""
    sampler = Heun(steps=5, spacing="karras")
    trajectory = Pair().trajectory(GuidanceSpec(), sampler)
    levels = sampler.levels(trajectory.model.info.noise)
    step = trajectory._step(trajectory.plan.calls[0], noise(0), 0.0, torch.Generator())
    assert step.starts == (levels[0], *levels[1::2])
