"""DDIM inversion, plain and with CFG++: against the authors' loop, diffusers' scheduler, and the way back down."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMInverseScheduler
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from guidance.info import ModelInfo
from guidance.inversion import inversion_problems, inversion_spec, invert
from guidance.models.gaussians import Gaussians
from guidance.models.stable_diffusion import StableDiffusion
from guidance.noise import NoiseTable
from guidance.plan import plan
from guidance.prediction import Prediction
from guidance.protocol import Branch, Conditions, drive
from guidance.samplers import DDIM, Euler, Heun
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory
from tests.guidance.steps import noise
from tests.guidance.strategies import FEW
from tests.oracles import TABLE, slope

SHAPES = Path(__file__).parents[2] / "models" / "shapes"
SHAPE = (1, 1, 2, 2)


def mixture() -> Gaussians:
    """Two components that overlap, in float64; class 0 against both."""
    means = noise(2, (2, *SHAPE[1:])) * 0.5
    return Gaussians(means, torch.tensor([0.5, 0.5], dtype=torch.float64), noise=TABLE)


MODEL = mixture()
CONDITIONS = Conditions(MODEL.label(0), MODEL.encode(None))
CLEAN = MODEL.means[:1] + 0.5 * noise(3, SHAPE)


def spec(weight: float | list[float], combiner: str = "cfg", **more: Any) -> GuidanceSpec:
    schedule = {"type": "constant", "weight": weight}
    if isinstance(weight, list):
        schedule = {"type": "per_step", "weights": weight}
    return GuidanceSpec.model_validate({"combiner": {"type": combiner}, "schedule": schedule} | more)


def inverted(guidance: GuidanceSpec, sampler: DDIM | Euler, model: Gaussians = MODEL) -> Tensor:
    return drive(invert(model, guidance, sampler, CONDITIONS, CLEAN), model.evaluate)


def there_and_back(guidance: GuidanceSpec, sampler: DDIM | Euler, model: Gaussians = MODEL) -> Tensor:
    start = inverted(guidance, sampler, model)
    return drive(Trajectory(model, guidance, sampler, CONDITIONS, SHAPE, 0, noise=start).run(), model.evaluate)


def error(guidance: GuidanceSpec, sampler: DDIM | Euler) -> float:
    return float((there_and_back(guidance, sampler) - CLEAN).square().mean().sqrt())


# The formula


class Fixed(Gaussians):
    """A network that looks at the level and the condition, and not at x."""

    def evaluate(self, branches: Sequence[Branch]) -> list[Tensor]:
        names = {"cond": 1000, "uncond": 5000}
        return [noise(names[branch.name] + round(branch.level.t), SHAPE) for branch in branches]


@FEW
@given(
    sampler=st.sampled_from([DDIM, Euler]),
    combiner=st.sampled_from(["cfg", "cfgpp"]),
    spacing=st.sampled_from(["leading", "trailing", "linspace"]),
    steps=st.integers(2, 30),
    weight=st.floats(-1, 2),
)
def test_a_network_that_does_not_look_at_x_is_inverted_exactly(
    sampler: type[DDIM | Euler], combiner: str, spacing: str, steps: int, weight: float
) -> None:
    """Also where DDIM's grid is uneven, or a step of it ends where it began: linspace ends at t = 0.

    diffusers keeps levels, and Euler its sample, in float32.
    """
    fixed = Fixed(MODEL.means, MODEL.stds, noise=TABLE)
    guidance, way = spec(weight, combiner), sampler.model_validate({"type": sampler.type_name(), "steps": steps})
    way = way.model_copy(update={"spacing": spacing})
    torch.testing.assert_close(there_and_back(guidance, way, fixed), CLEAN, rtol=0, atol=2e-4)


def authors(weight: float, steps: int, *, swapped: bool) -> Tensor:
    """`inversion` of the authors, line by line, on the grid of diffusers' leading spacing."""
    bars = torch.tensor(1 / (1 + TABLE.ratios**2))
    zt, skip = CLEAN, 1000 // steps
    for t in range(TABLE.steps_offset, 1000, skip):
        at, at_prev = bars[t], bars[max(t - skip, 0)]
        a, s = float(at.sqrt()), float((1 - at).sqrt())
        noise_uc, noise_c = (
            MODEL.eps(zt, a, s, condition.given["prior"]) for condition in (CONDITIONS.uncond, CONDITIONS.cond)
        )
        noise_pred = noise_uc + weight * (noise_c - noise_uc)
        z0t = (zt - (1 - at_prev).sqrt() * (noise_uc if swapped else noise_pred)) / at_prev.sqrt()
        zt = at.sqrt() * z0t + (1 - at).sqrt() * noise_pred
    return zt


@pytest.mark.parametrize("weight", [0.0, 0.6, 1.0, 7.5])
@pytest.mark.parametrize("combiner", ["cfg", "cfgpp"])
def test_it_takes_the_authors_steps(combiner: str, weight: float) -> None:
    """With the two noises in each other's place for CFG++; the table is float32, rounded in two ways."""
    ours = inverted(spec(weight, combiner), DDIM(steps=20, spacing="leading"))
    torch.testing.assert_close(ours, authors(weight, 20, swapped=combiner == "cfgpp"), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_without_cfgpp_it_is_diffusers_inverse_scheduler(weight: float, spacing: str) -> None:
    """Largest difference 1e-6: it keeps its levels in float32."""
    config = MODEL.scheduler_config | {"timestep_spacing": spacing}
    known = {name: config[name] for name in ("beta_start", "beta_end", "beta_schedule", "steps_offset")}
    theirs = DDIMInverseScheduler(**known, timestep_spacing=spacing, clip_sample=False, set_alpha_to_one=False)
    theirs.set_timesteps(20)
    x = CLEAN
    for t in theirs.timesteps:
        bar = float(theirs.alphas_cumprod[t])
        cond, uncond = (
            MODEL.eps(x, bar**0.5, (1 - bar) ** 0.5, condition.given["prior"])
            for condition in (CONDITIONS.cond, CONDITIONS.uncond)
        )
        x = theirs.step(uncond + weight * (cond - uncond), t, x, return_dict=False)[0]
    ours = inverted(spec(weight), DDIM.model_validate({"type": "ddim", "steps": 20, "spacing": spacing}))
    torch.testing.assert_close(ours, x, rtol=1e-5, atol=1e-5)


def test_cfgpp_is_cfg_at_the_weights_that_its_steps_come_to() -> None:
    """lambda = w (1 - r): one step down, and so one step up. At equal weights step by step, equal noise."""
    sampler = DDIM(steps=20, spacing="leading")
    solver = sampler.make_solver(TABLE, MODEL.scheduler_config)
    shares = [solver.kept(index) for index in range(20)]
    weights = [3.0 * (1 - share) for share in shares if share is not None]
    ours, cfg = inverted(spec(weights, "cfgpp"), sampler), inverted(spec(3.0), sampler)
    torch.testing.assert_close(ours, cfg, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("combiner", ["cfg", "cfgpp"])
def test_the_parameterisation_of_the_network_does_not_matter(combiner: str) -> None:
    """A v is read at the level that the network was told. DDIMInverseScheduler reads it at the one below."""

    class Velocity(Gaussians):
        def evaluate(self, branches: Sequence[Branch]) -> list[Tensor]:
            said = zip(branches, super().evaluate(branches), strict=True)
            return [Prediction(branch.x, branch.level, eps, "eps").v for branch, eps in said]

    model = Velocity(MODEL.means, MODEL.stds, noise=TABLE)
    model.info = model.info.model_copy(update={"prediction_type": "v"})
    sampler = DDIM(steps=20)
    ours, expected = (inverted(spec(0.6, combiner), sampler, one) for one in (model, MODEL))
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


# There and back


@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("sampler", [DDIM, Euler])
def test_the_way_back_ends_nearer_the_more_steps_there_are(sampler: type[DDIM | Euler], weight: float) -> None:
    """Order 1: the network is asked of x' where the step down asked it of x."""
    counts = (50, 100, 200)
    errors = [error(spec(weight), sampler(steps=count, spacing="trailing")) for count in counts]
    assert slope(counts, errors) == pytest.approx(1, abs=0.1) and errors[-1] < 0.03


@pytest.mark.parametrize(("steps", "factor"), [(10, 2.0), (20, 1.5)])
def test_cfgpp_leads_back_better_than_cfg_of_the_same_strength(steps: int, factor: float) -> None:
    """lambda = w / 12.5, as the authors pair 0.6 with 7.5, at their step counts.

    With more steps the advantage goes: the CFG weight that a lambda comes to grows with them.
    """
    sampler = DDIM(steps=steps, spacing="trailing")
    assert error(spec(0.6, "cfgpp"), sampler) * factor < error(spec(7.5), sampler)


@cache
def net() -> StableDiffusion:
    return StableDiffusion.load(SHAPES, "shapes", torch.device("cpu"), torch.float32)


CAPTIONS = (
    "a large red star", "a small blue circle", "a large green triangle", "a small purple cross", "a large orange ring",
    "a small yellow square",
)  # fmt: skip


def decibels(caption: str, seed: int, guidance: Sequence[GuidanceSpec], steps: int) -> list[float]:
    """How near a picture that the model draws comes back under each guidance: of the latents' unit variance."""
    conditions, sampler = Conditions(net().encode(caption), net().encode(None)), DDIM(steps=steps)
    drawn = Trajectory(net(), spec(2.0), sampler, conditions, net().shape(64, 64), seed)
    clean = drive(drawn.run(), net().evaluate)

    def back(guidance: GuidanceSpec) -> Tensor:
        start = drive(invert(net(), guidance, sampler, conditions, clean), net().evaluate)
        return drive(
            Trajectory(net(), guidance, sampler, conditions, clean.shape, 0, noise=start).run(), net().evaluate
        )

    return [-10 * float((back(one) - clean).square().mean().log10()) for one in guidance]


@pytest.mark.parametrize(("steps", "margin"), [(10, 6.0), (20, 9.0)])
def test_cfgpp_leads_back_better_on_the_shipped_model(steps: int, margin: float) -> None:
    """The mean of six pictures: from one to the next the difference is anything from 2 to 20 dB."""
    with torch.inference_mode():
        pairs = [
            decibels(caption, 7 + place, [spec(0.6, "cfgpp"), spec(7.5)], steps)
            for place, caption in enumerate(CAPTIONS)
        ]
    assert sum(plus - plain for plus, plain in pairs) / len(pairs) > margin


# What it asks


@pytest.mark.parametrize(
    ("guidance", "each"),
    [(spec(3.0), 2), (spec(1.0), 1), (spec(0.0), 1), (spec(0.6, "cfgpp"), 2), (spec(0.0, "cfgpp"), 1)],
)
def test_it_evaluates_what_the_plan_says_at_the_levels_above(guidance: GuidanceSpec, each: int) -> None:
    asked: list[Branch] = []

    def evaluate(branches: Sequence[Branch]) -> list[Tensor]:
        asked.extend(branches)
        return MODEL.evaluate(branches)

    sampler = DDIM(steps=7)
    drive(invert(MODEL, guidance, sampler, CONDITIONS, CLEAN), evaluate)
    assert len(asked) == 7 * each == plan(guidance, sampler, MODEL.info).nfe
    assert [branch.level for branch in asked[::each]] == sampler.levels(TABLE)[::-1]
    assert torch.equal(asked[0].x, CLEAN)


def test_where_guidance_is_off_the_condition_alone_leads_up() -> None:
    off, sampler = {"type": "interval", "sigma_low": 100, "sigma_high": 101}, DDIM(steps=7)
    ours = inverted(spec(0.6, "cfgpp", schedule=off), sampler)
    assert torch.equal(ours, inverted(spec(1.0), sampler))


def test_closing_it_leaves_nothing_behind() -> None:
    run = invert(MODEL, spec(3.0), DDIM(steps=3), CONDITIONS, CLEAN)
    next(run)
    run.close()
    assert run.gi_frame is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("sampler", [DDIM(steps=3), Euler(steps=3)])
def test_a_trajectory_starts_from_the_noise_it_is_given(sampler: DDIM | Euler) -> None:
    drawn = Trajectory(MODEL, spec(3.0), sampler, CONDITIONS, SHAPE, 5)
    given = Trajectory(MODEL, spec(3.0), sampler, CONDITIONS, SHAPE, 6, noise=noise(5, SHAPE))
    assert torch.equal(drive(drawn.run(), MODEL.evaluate), drive(given.run(), MODEL.evaluate))


# What a request may say


def test_the_way_up_goes_by_the_combiner_and_the_weights_of_the_way_down() -> None:
    guidance = spec([0.2, 0.6], "cfgpp", correction=[{"type": "rescale"}])
    assert inversion_spec(guidance) == spec([0.2, 0.6], "cfgpp")
    assert inversion_spec(guidance, 0.3) == spec(0.3, "cfgpp")


def test_beside_cfg_and_cfgpp_the_way_up_has_a_weight_of_its_own() -> None:
    assert inversion_spec(spec(7.5, "apg"), 1.0) == spec(1.0)


def problems(guidance: GuidanceSpec, sampler: Any, info: ModelInfo = MODEL.info, weight: float | None = None) -> Any:
    return [(problem.pointer, problem.code) for problem in inversion_problems(guidance, sampler, info, weight)]


def test_what_can_be_inverted() -> None:
    assert problems(spec(0.6, "cfgpp"), DDIM()) == problems(spec(3.0), Euler()) == []
    assert problems(spec(3.0), Heun()) == [("/sampler/type", "unsupported_sampler")]
    assert problems(spec(3.0), DDIM(eta=0.5)) == [("/sampler/eta", "unsupported_sampler")]
    assert problems(spec(7.5, "apg"), DDIM()) == [("/source/weight", "missing_weight")]
    assert problems(spec(7.5, "apg"), DDIM(), weight=1.0) == []


def test_nothing_of_a_source_is_left_at_zero_signal() -> None:
    table = NoiseTable(rescale_betas_zero_snr=True)
    ends = MODEL.info.model_copy(update={"noise": table, "prediction_type": "v"})
    assert problems(spec(3.0), DDIM(), ends) == [("/sampler/type", "undefined_at_zero_signal")]
