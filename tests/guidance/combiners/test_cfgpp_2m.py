"""CFG++ with DPM++ 2M against the authors' loop. Chung et al. 2024, arXiv:2406.08070."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from diffusers.schedulers import scheduling_dpmsolver_multistep
from torch import Tensor

from guidance.models.gaussians import Gaussians
from guidance.noise import Level, NoiseTable
from guidance.prediction import Prediction
from guidance.protocol import Condition, Conditions, drive
from guidance.samplers import DPMpp2M, Spacing
from guidance.samplers.solver import Solver
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory
from tests.guidance.steps import noise
from tests.oracles import TABLE

SEED = 3
every_grid = pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace", "karras"])


def mixture() -> Gaussians:
    """Three components of 2 x 3 x 3 pixels, in float64; class 0 against all of them."""
    means = torch.randn((3, 2, 3, 3), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Gaussians(means, torch.tensor([0.2, 0.4, 0.6], dtype=torch.float64), noise=TABLE)


MODEL = mixture()
COND, UNCOND = MODEL.label(0), MODEL.encode(None)


def spec(weight: float, combiner: str = "cfgpp", **more: Any) -> GuidanceSpec:
    fields = {"combiner": {"type": combiner}, "schedule": {"type": "constant", "weight": weight}}
    return GuidanceSpec.model_validate(fields | more)


def trajectory(guidance: GuidanceSpec, sampler: DPMpp2M, uncond: Condition = UNCOND) -> Trajectory:
    return Trajectory(MODEL, guidance, sampler, Conditions(COND, uncond), MODEL.shape(0, 0), SEED)


def run(guidance: GuidanceSpec, sampler: DPMpp2M, uncond: Condition = UNCOND) -> Tensor:
    return drive(trajectory(guidance, sampler, uncond).run(), MODEL.evaluate)


def denoised(x: Tensor, level: Level, condition: Condition) -> Tensor:
    """The exact denoised estimate, of x in Karras' scale."""
    z = level.alpha * x
    return (z - level.sigma * MODEL.eps(z, level.alpha, level.sigma, condition.given["prior"])) / level.alpha


def authors(levels: Sequence[Level], weights: Sequence[float | None]) -> Tensor:
    """Their loop in Karras' scale, line by line; None: both estimates are the conditional one."""
    start = torch.randn(MODEL.shape(0, 0), generator=torch.Generator().manual_seed(SEED), dtype=torch.float64)
    x = start / levels[0].alpha
    sigmas, old_denoised = [*(level.ratio for level in levels), 0.0], None
    for i, weight in enumerate(weights):
        uncond_denoised = denoised(x, levels[i], COND if weight is None else UNCOND)
        cond_denoised = denoised(x, levels[i], COND)
        guided = uncond_denoised + (weight or 0.0) * (cond_denoised - uncond_denoised)
        if old_denoised is None or sigmas[i + 1] == 0:
            d = (x - uncond_denoised) / sigmas[i]
            x = guided + d * sigmas[i + 1]
        else:
            t, t_next = -math.log(sigmas[i]), -math.log(sigmas[i + 1])
            h = t_next - t
            h_last = t + math.log(sigmas[i - 1])
            r = h_last / h
            extra1 = -math.exp(-h) * uncond_denoised - math.expm1(-h) * (guided - old_denoised) / (2 * r)
            x = guided + extra1 + math.exp(-h) * x
        old_denoised = uncond_denoised
    return x


class InDouble:
    """torch, to whom float32 is float64: the scheduler computes its steps in it."""

    float32 = torch.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


class Double(DPMpp2M):
    """DPM++ 2M whose scheduler stands at the levels of the grid themselves, not at these in float32."""

    def make_solver(self, table: NoiseTable, scheduler_config: dict[str, Any]) -> Solver:
        solver = Solver(self, table, scheduler_config)
        ratios = [*(level.ratio for level in self.levels(table)), 0.0]
        sigmas = torch.tensor(ratios, dtype=torch.float64)
        torch.testing.assert_close(solver.scheduler.sigmas.double(), sigmas, rtol=2e-5, atol=0)
        solver.scheduler.sigmas = sigmas
        return solver


@pytest.mark.parametrize("weight", [0.0, 0.6, 1.0, 1.7])
@every_grid
@pytest.mark.parametrize("steps", [2, 3, 14, 15, 40])
def test_it_takes_the_authors_steps(
    steps: int, spacing: Spacing, weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over whole trajectories in float64, diffusers' half of the step included: largest difference 1e-14."""
    monkeypatch.setattr(scheduling_dpmsolver_multistep, "torch", InDouble())
    sampler = Double(steps=steps, spacing=spacing)
    expected = authors(sampler.levels(TABLE), [weight] * steps)
    torch.testing.assert_close(run(spec(weight), sampler), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("weight", [0.0, 0.6, 1.0])
@every_grid
def test_as_diffusers_computes_it_is_as_near_as_float32(spacing: Spacing, weight: float) -> None:
    sampler = DPMpp2M(steps=20, spacing=spacing)
    expected = authors(sampler.levels(TABLE), [weight] * 20)
    torch.testing.assert_close(run(spec(weight), sampler), expected, rtol=0, atol=2e-6)


def test_a_single_step_ends_in_the_guided_estimate() -> None:
    sampler = DPMpp2M(steps=1, spacing="trailing")
    torch.testing.assert_close(run(spec(0.6), sampler), authors(sampler.levels(TABLE), [0.6]), rtol=0, atol=2e-6)


def test_where_guidance_is_off_both_estimates_are_the_conditional_one() -> None:
    """Also in the memory of the steps after."""
    sampler = DPMpp2M(steps=12, spacing="karras")
    interval = {"type": "interval", "weight": 0.6, "sigma_low": 0.3, "sigma_high": 3.0}
    weights = [0.6 if 0.3 < level.ratio <= 3.0 else None for level in sampler.levels(TABLE)]
    assert weights[0] is weights[-1] is None and 0.6 in weights
    expected = authors(sampler.levels(TABLE), weights)
    torch.testing.assert_close(run(spec(0.6, schedule=interval), sampler), expected, rtol=0, atol=2e-6)


# What must hold of the formula


@every_grid
@pytest.mark.parametrize("steps", [5, 14, 15, 30])
def test_lambda_0_is_unconditional_dpmpp_2m(steps: int, spacing: Spacing) -> None:
    """D_g = D_u: bit for bit, from one evaluation a step."""
    sampler = DPMpp2M(steps=steps, spacing=spacing)
    ours = trajectory(spec(0.0), sampler)
    assert torch.equal(drive(ours.run(), MODEL.evaluate), run(spec(0.0, "cfg"), sampler))
    assert ours.nfe_done == ours.plan.nfe == steps


@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_equal_predictions_take_the_steps_of_dpmpp_2m(weight: float) -> None:
    """c = u, lambda = 1 among them."""
    sampler = DPMpp2M(steps=20)
    assert torch.equal(run(spec(weight), sampler, uncond=COND), run(spec(1.0, "cfg"), sampler))


def first_steps(count: int, steps: int) -> tuple[list[Level], list[Tensor], Tensor]:
    """The levels, what was predicted at the last of `count` steps from noise(7), and the sample after it."""
    sampler = DPMpp2M(steps=steps, spacing="karras")
    solver = sampler.make_solver(TABLE, MODEL.scheduler_config)
    levels = [*sampler.levels(TABLE), Level(0, 1.0, 0.0)]
    for call in range(count):
        guided, uncond = (Prediction(noise(7), levels[call], noise(seed + call), "eps") for seed in (10, 20))
        after = solver.advance(noise(7), guided, call, torch.Generator(), uncond)
    return levels[count - 1 :], [guided.denoised, uncond.denoised, uncond.eps], after


def test_the_first_step_puts_back_the_unconditional_noise() -> None:
    """alpha' D_g + sigma' eps_u, as of first order."""
    (_, there, *_), (guided, _, noise_put_back), after = first_steps(1, 4)
    torch.testing.assert_close(after, there.alpha * guided + there.sigma * noise_put_back, rtol=1e-5, atol=1e-5)


def test_the_last_step_ends_in_the_guided_estimate() -> None:
    _, (guided, *_), after = first_steps(4, 4)
    torch.testing.assert_close(after, guided, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("weight", "each"), [(0.0, 1), (0.6, 2), (1.0, 2)])
def test_evaluations_are_as_declared(weight: float, each: int) -> None:
    ours = trajectory(spec(weight), DPMpp2M(steps=7))
    drive(ours.run(), MODEL.evaluate)
    assert ours.nfe_done == ours.plan.nfe == 7 * each


def test_no_effective_weight_is_noted() -> None:
    """No CFG weight takes the same step: the history differs."""
    ours = trajectory(spec(0.6), DPMpp2M(steps=4))
    drive(ours.run(), MODEL.evaluate)
    assert "effective_weight" not in ours.diagnostics.columns()
