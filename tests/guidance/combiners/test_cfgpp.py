"""CFG++ against the authors' step. Chung et al. 2024, arXiv:2406.08070."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from guidance.combiners import CFGpp
from guidance.noise import Level
from guidance.protocol import drive
from guidance.samplers import DDIM, Euler, EulerAncestral, Sampler
from guidance.samplers.solver import Solver
from guidance.spec import GuidanceSpec
from tests.guidance.steps import a_step, guided, noise
from tests.oracles import Pair, a_trajectory

PAIR = Pair()
# 1000 / 8 is whole: DDIM's own previous timestep is the grid's next one
SAMPLERS: list[Sampler] = [DDIM(steps=8), DDIM(steps=8, eta=0.5), Euler(steps=8), EulerAncestral(steps=8)]
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS, ids=str)


def spec(weight: float, **more: object) -> GuidanceSpec:
    schedule = {"type": "constant", "weight": weight}
    return GuidanceSpec.model_validate({"combiner": {"type": "cfgpp"}, "schedule": schedule} | more)


def denoised(x: Tensor, level: Level, label: int) -> Tensor:
    """The exact denoised estimate of a class at x, in the model's scale."""
    model = PAIR.model()
    eps = model.eps(x, level.alpha, level.sigma, model.label(label).given["prior"])
    return (x - level.sigma * eps) / level.alpha


def authors(sampler: Sampler, weight: float, seed: int) -> Tensor:
    """Algorithm 2 in Karras' scale, step by step: x' = D_g + (x - D_u) / sigma * sigma_down + sigma_up n."""
    model = PAIR.model()
    solver = Solver(sampler, model.info.noise, model.scheduler_config)
    stream = torch.Generator().manual_seed(seed)
    start = torch.randn(model.shape(0, 0), generator=stream, dtype=model.dtype)
    levels = sampler.levels(model.info.noise)
    x = solver.network_input(solver.start(start), 0) / levels[0].alpha
    for call, level in enumerate(levels):
        uncond, cond = (denoised(level.alpha * x, level, label) for label in (1, 0))
        down, up = ends(solver, sampler, call)
        x = uncond + weight * (cond - uncond) + (x - uncond) / level.ratio * down
        if up:
            x = x + up * torch.randn(x.shape, generator=stream, dtype=x.dtype)
    return x


def ends(solver: Solver, sampler: Sampler, call: int) -> tuple[float, float]:
    """sigma_down and sigma_up of a step, in Karras' scale, from the papers' formulas."""
    scheduler = solver.scheduler
    if not isinstance(sampler, DDIM):
        now, after = float(scheduler.sigmas[call]), float(scheduler.sigmas[call + 1])
        up = (after**2 * (now**2 - after**2) / now**2) ** 0.5 if isinstance(sampler, EulerAncestral) else 0.0
        return (after**2 - up**2) ** 0.5, up
    t = int(scheduler.timesteps[call])
    before = t - 1000 // sampler.steps
    bar = float(scheduler.alphas_cumprod[t])
    next_bar = float(scheduler.alphas_cumprod[before] if before >= 0 else scheduler.final_alpha_cumprod)
    up = sampler.eta * ((1 - next_bar) / (1 - bar) * (1 - bar / next_bar)) ** 0.5
    return ((1 - next_bar - up**2) / next_bar) ** 0.5, up / next_bar**0.5


@every_sampler
@pytest.mark.parametrize("weight", [0.0, 0.6, 1.0])
def test_it_takes_the_authors_steps(sampler: Sampler, weight: float) -> None:
    trajectory = a_trajectory(PAIR.model(), spec(weight), sampler, 3)
    sample = drive(trajectory.run(), trajectory.model.evaluate)
    scale = 1.0
    if isinstance(sampler, DDIM):  # its sample ends at the first training level, in the model's scale
        scheduler = Solver(sampler, trajectory.model.info.noise, trajectory.model.scheduler_config).scheduler
        scale = float(scheduler.final_alpha_cumprod) ** 0.5
    torch.testing.assert_close(sample, scale * authors(sampler, weight, 3), rtol=1e-5, atol=1e-5)


@every_sampler
def test_lambda_0_is_unconditional(sampler: Sampler) -> None:
    runs = [a_trajectory(PAIR.model(), s, sampler, 3) for s in (spec(0.0), spec(0.0, combiner={"type": "cfg"}))]
    first, second = (drive(run.run(), run.model.evaluate) for run in runs)
    assert torch.equal(first, second)
    assert runs[0].nfe_done == sampler.steps


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.9])
def test_equivalent_weight(kept: float) -> None:
    """CFG of weight lambda / (1 - r) takes the same step: lambda alpha' sigma / (alpha' sigma - alpha sigma')."""
    cond, uncond, x = noise(1), noise(2), noise(3)
    value = guided(CFGpp(), a_step(0.6, kept=kept), cond, uncond)  # read as denoised estimates
    stepped = value + kept * (x - value)
    torch.testing.assert_close(stepped, uncond + 0.6 * (cond - uncond) + kept * (x - uncond), rtol=0, atol=1e-12)


def test_lambda_in_steps_of_cfg_is_cfg() -> None:
    """lambda = w (sigma - sigma') / sigma, Euler: CFG at w."""
    kept = 0.7
    value = guided(CFGpp(), a_step(5.0 * (1 - kept), kept=kept), noise(1), noise(2))
    torch.testing.assert_close(value, noise(2) + 5 * (noise(1) - noise(2)), rtol=1e-12, atol=1e-12)


def test_what_would_change_the_noise_is_refused() -> None:
    with pytest.raises(ValidationError, match="by pag, rescale: leave them out"):
        spec(0.6, perturbation=[{"type": "pag"}], correction=[{"type": "rescale"}])


def test_a_lambda_above_1_is_warned_of() -> None:
    assert CFGpp().warnings([0.6]) == [] and "overshoots" in CFGpp().warnings([7.5])[0]
