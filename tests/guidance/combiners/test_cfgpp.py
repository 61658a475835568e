"""CFG++ against the authors' steps. Chung et al. 2024, arXiv:2406.08070."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from guidance.combiners import CFGpp
from guidance.noise import Level
from guidance.prediction import Prediction
from guidance.protocol import Conditions, drive
from guidance.samplers import DDIM, Euler, EulerAncestral, Heun, Sampler, Spacing
from guidance.samplers.solver import Solver
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory
from tests.guidance.steps import a_step, guided, noise
from tests.oracles import TABLE, Pair, a_trajectory

Change = Callable[[Tensor], Tensor]

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


def authors(sampler: Sampler, weight: float, seed: int, correct: Change = lambda estimate: estimate) -> Tensor:
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
        x = correct(uncond + weight * (cond - uncond)) + (x - uncond) / level.ratio * down
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


def run(guidance: GuidanceSpec, sampler: Sampler) -> Tensor:
    trajectory = a_trajectory(PAIR.model(), guidance, sampler, 3)
    return drive(trajectory.run(), trajectory.model.evaluate)


@every_sampler
@pytest.mark.parametrize("weight", [0.0, 0.6, 1.0])
def test_it_takes_the_authors_steps(sampler: Sampler, weight: float) -> None:
    """diffusers keeps levels, and Euler its sample, in float32."""
    scale = 1.0
    if isinstance(sampler, DDIM):  # its sample ends at the first training level, in the model's scale
        scheduler = Solver(sampler, TABLE, PAIR.model().scheduler_config).scheduler
        scale = float(scheduler.final_alpha_cumprod) ** 0.5
    expected = scale * authors(sampler, weight, 3)
    torch.testing.assert_close(run(spec(weight), sampler), expected, rtol=1e-5, atol=1e-5)


@every_sampler
def test_lambda_0_is_unconditional(sampler: Sampler) -> None:
    runs = [a_trajectory(PAIR.model(), s, sampler, 3) for s in (spec(0.0), spec(0.0, combiner={"type": "cfg"}))]
    first, second = (drive(run.run(), run.model.evaluate) for run in runs)
    assert torch.equal(first, second)
    assert runs[0].nfe_done == sampler.steps


@every_sampler
def test_lambda_1_of_equal_predictions_is_the_plain_sampler(sampler: Sampler) -> None:
    """c = u: nothing to guide, and the noise put back is the prediction's own."""
    conditions = Conditions(PAIR.model().label(0), PAIR.model().label(0))

    def sampled(combiner: str) -> Tensor:
        guidance, model = spec(1.0, combiner={"type": combiner}), PAIR.model()
        run = Trajectory(model, guidance, sampler, conditions, model.shape(0, 0), 3).run()  # type: ignore[arg-type]
        return drive(run, model.evaluate)

    torch.testing.assert_close(sampled("cfgpp"), sampled("cfg"), rtol=1e-6, atol=1e-6)


@every_sampler
def test_where_guidance_is_off_the_step_is_the_conditional_predictions_own(sampler: Sampler) -> None:
    off = {"type": "interval", "sigma_low": 100, "sigma_high": 101}
    assert torch.equal(run(spec(0.6, schedule=off), sampler), run(spec(1.0, combiner={"type": "cfg"}), sampler))


def falling(sampler: Sampler) -> list[float]:
    """sigma / alpha at which each step begins, and the last ends: DDIM at the first level of the table."""
    end = float(TABLE.ratios[0]) if isinstance(sampler, DDIM) else 0.0
    return [*(level.ratio for level in sampler.levels(TABLE)), end]


@pytest.mark.parametrize(("spacing", "call"), [("trailing", 0), ("leading", 5), ("linspace", 7)])
def test_the_noise_put_back_is_that_of_the_unconditional_prediction(spacing: Spacing, call: int) -> None:
    """One step of DDIM: alpha' D_g + sigma' eps_u. linspace ends with one from t = 0, the end, to where it is."""
    sampler = DDIM(steps=8, spacing=spacing)
    solver = Solver(sampler, TABLE, PAIR.model().scheduler_config)
    here = sampler.levels(TABLE)[call]
    there = Level.variance_preserving(0, float(TABLE.ratios[max(round(here.t) - 1000 // 8, 0)]))
    assert (there.ratio == here.ratio) == (spacing == "linspace")
    guided, uncond = (Prediction(noise(1), here, noise(seed), "eps") for seed in (2, 3))
    after = solver.advance(noise(1), guided, call, torch.Generator(), uncond)
    torch.testing.assert_close(after, there.alpha * guided.denoised + there.sigma * uncond.eps, rtol=1e-5, atol=1e-5)


def test_where_a_step_ends_where_it_began_no_cfg_weight_comes_to_the_same() -> None:
    """There the guided estimate alone moves the sample, which CFG leaves where it is."""
    trajectory = a_trajectory(PAIR.model(), spec(0.6), DDIM(steps=8, spacing="linspace"), 3)
    assert drive(trajectory.run(), trajectory.model.evaluate).isfinite().all()
    *others, last = trajectory.diagnostics.columns()["effective_weight"]
    assert last is None and None not in others


@pytest.mark.parametrize("sampler", [DDIM(steps=8), Euler(steps=8)], ids=["ddim", "euler"])
def test_equivalent_weight(sampler: Sampler) -> None:
    """CFG of weight lambda alpha' sigma / (alpha' sigma - alpha sigma') takes the same steps: it is noted."""
    trajectory = a_trajectory(PAIR.model(), spec(0.6), sampler, 3)
    sample = drive(trajectory.run(), trajectory.model.evaluate)
    weights = trajectory.diagnostics.columns()["effective_weight"]
    expected = [0.6 * high / (high - low) for high, low in pairwise(falling(sampler))]
    assert weights == pytest.approx(expected, rel=1e-5)
    cfg = spec(0.6, combiner={"type": "cfg"}, schedule={"type": "per_step", "weights": weights})
    torch.testing.assert_close(run(cfg, sampler), sample, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("strength", [0.1, 0.6, 1.0, 1.7])
def test_the_equivalent_weight_is_an_identity(strength: float) -> None:
    """Step by step to 1e-12, whatever is predicted, once DDIM's table of levels is in float64 too."""
    solver = Solver(DDIM(steps=8), TABLE, PAIR.model().scheduler_config)
    scheduler, stream = solver.scheduler, torch.Generator()
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.final_alpha_cumprod = scheduler.final_alpha_cumprod.double()
    for call in range(8):
        x, cond, uncond = (noise(3 * call + k) for k in range(3))
        bar = float(scheduler.alphas_cumprod[int(scheduler.timesteps[call])])
        level = Level(float(scheduler.timesteps[call]), bar**0.5, (1 - bar) ** 0.5)

        def said(weight: float) -> Prediction:
            return Prediction(x, level, uncond + weight * (cond - uncond), "eps")  # noqa: B023

        kept = solver.kept(call)
        assert kept is not None
        ours = solver.advance(x, said(strength), call, stream, said(0.0))
        cfg = solver.advance(x, said(strength / (1 - kept)), call, stream)
        torch.testing.assert_close(ours, cfg, rtol=1e-12, atol=1e-12)


def test_lambda_in_steps_of_cfg_is_cfg() -> None:
    """lambda = w (sigma - sigma') / sigma, Euler: CFG at w."""
    sampler = Euler(steps=8)
    weights = [5 * (high - low) / high for high, low in pairwise(falling(sampler))]
    ours = run(spec(0.6, schedule={"type": "per_step", "weights": weights}), sampler)
    torch.testing.assert_close(ours, run(spec(5.0, combiner={"type": "cfg"}), sampler), rtol=1e-5, atol=1e-5)


def test_a_preview_shows_the_guided_estimate() -> None:
    value = guided(CFGpp(), a_step(0.6, kept=0.9), noise(1), noise(2))
    torch.testing.assert_close(value, noise(2) + 0.6 * (noise(1) - noise(2)), rtol=0, atol=0)


def test_a_solver_that_cannot_put_other_noise_back_says_so() -> None:
    sampler = Heun(steps=4)
    solver = Solver(sampler, TABLE, PAIR.model().scheduler_config)
    prediction = Prediction(noise(1), sampler.levels(TABLE)[0], noise(2), "eps")
    with pytest.raises(NotImplementedError, match="heun"):
        solver.advance(noise(1), prediction, 0, torch.Generator(), prediction)


def test_a_correction_changes_the_estimate_and_not_the_noise() -> None:
    """x' = clamp(D_g) + sigma' (x - D_u) / sigma: noise computed anew from the clamped estimate would differ."""
    sampler, bound = Euler(steps=8), 0.3
    clamped = run(spec(0.6, correction=[{"type": "static_threshold", "bound": bound}]), sampler)
    expected = authors(sampler, 0.6, 3, lambda estimate: estimate.clamp(-bound, bound))
    assert (expected - authors(sampler, 0.6, 3)).abs().max() > 0.01
    torch.testing.assert_close(clamped, expected, rtol=1e-5, atol=1e-5)


def test_a_lambda_above_1_is_warned_of() -> None:
    assert CFGpp().warnings([0.6]) == [] and "overshoots" in CFGpp().warnings([7.5])[0]
