"""Loss-based guidance where data and loss are Gaussian: every push is known in closed form."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from guidance.noise import CLEAN
from guidance.picture import data_url, pixels
from guidance.protocol import Conditions, drive
from guidance.samplers import DDIM
from guidance.spec import GuidanceSpec
from guidance.trajectory import Trajectory
from tests.guidance.energies.evaluation import ALONE, HERE, THERE, Evaluation, mixture, noise, standard
from tests.guidance.pictures import png

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 3, 3), dtype=np.uint8)
REFERENCE = data_url(png(PIL.Image.fromarray(PIXELS)))
TAU = 0.5
SQUARE = {"type": "match", "image": REFERENCE, "measure": "square", "weight": 1 / TAU**2}
"""(y - x0)^2 / (2 tau^2)."""
COLOUR = {"type": "colour", "target": "#e03131"}
MODEL = standard(channels=3)
X = noise(2, MODEL)
Y = pixels(REFERENCE).double()
D = HERE.alpha * X
"""The denoised estimate of data N(0, 1)."""


def guided(x: Tensor = X, model: Any = MODEL, **energy: Any) -> tuple[Any, dict[str, Any]]:
    evaluation = Evaluation(model, x)
    return evaluation.guided(schedule=ALONE, energy=[energy]), evaluation.notes


def close(a: Tensor, b: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


# DPS, FreeDoM and Shen's steps


def test_dps_moves_down_the_analytic_gradient() -> None:
    """-(y - D(x)) / tau^2 dD/dx, with D = alpha x."""
    result, notes = guided(type="dps", losses=[SQUARE])
    close(result.after, (Y - D) / TAU**2 * HERE.alpha)
    assert float(notes["loss"]) == pytest.approx(float(((Y - D) ** 2).sum()) / (2 * TAU**2), rel=1e-12)
    close(result.prediction.denoised, D)


def test_the_default_measure_is_the_distance_itself() -> None:
    """As in DPS and FreeDoM: its gradient has length 1 in pixels, however far the reference is."""
    result, _ = guided(type="dps", losses=[{"type": "match", "image": REFERENCE}])
    close(result.after, HERE.alpha * (Y - D) / (Y - D).norm())


@pytest.mark.parametrize("rule", ["constant", "signal", "noise", "polyak"])
def test_the_rule_sets_the_length_of_the_move(rule: str) -> None:
    result, notes = guided(type="dps", rule=rule, scale=0.7, losses=[SQUARE])
    gradient, eps = (D - Y) / TAU**2 * HERE.alpha, (X - HERE.alpha * D) / HERE.sigma
    bar, after = HERE.alpha**2, THERE.alpha**2
    rms = gradient.square().mean().sqrt()
    c1 = math.sqrt(after) * (1 - bar / after) / (1 - bar)
    lengths = {
        "constant": 0.7,
        "signal": 0.7 * math.sqrt(bar),
        "noise": 0.7 * eps.square().mean().sqrt() * math.sqrt(1 - bar) / math.sqrt(bar) * c1 / rms,
        "polyak": 0.7 * eps.norm() / gradient.norm() ** 2,
    }
    close(result.after, -lengths[rule] * gradient)
    assert float(notes["loss_shift_norm"]) == pytest.approx(float(result.after.norm()), rel=1e-12)


def test_the_guidance_rule_is_as_long_as_cfg_s_push() -> None:
    """scale w rms(eps_c - eps_u) / rms(g); nothing where guidance is off."""
    model = mixture()
    x = noise(2, model)
    energy = {"type": "dps", "rule": "guidance", "scale": 0.2, "losses": [COLOUR]}
    evaluation = Evaluation(model, x)
    result = evaluation.guided(schedule={"type": "constant", "weight": 3}, energy=[energy])
    assert result.after is not None
    difference = (result.seen["cond"].eps - result.seen["uncond"].eps).norm()
    assert float(result.after.norm()) == pytest.approx(float(0.2 * 3 * difference), rel=1e-12)
    off = {"type": "constant", "weight": 3, "sigma_low": 10}
    unmoved = Evaluation(model, x).guided(schedule=off, energy=[energy]).after
    assert unmoved is not None and not unmoved.any()


def test_a_polyak_step_shrinks_as_the_loss_grows() -> None:
    """||rho g|| = eta ||eps|| / ||g||: k times the loss moves 1 / k as far."""
    once, _ = guided(type="dps", rule="polyak", losses=[SQUARE])
    thrice, _ = guided(type="dps", rule="polyak", losses=[SQUARE | {"weight": 3 / TAU**2}])
    close(thrice.after, once.after / 3)


@pytest.mark.parametrize("rule", ["constant", "noise", "polyak"])
def test_a_vanishing_gradient_moves_nothing(rule: str) -> None:
    """What is left of it is rounding, whose direction means nothing."""
    result, _ = guided(Y / HERE.alpha, type="dps", rule=rule, losses=[SQUARE])
    assert not result.after.any()


def test_losses_add_up_with_their_weights() -> None:
    colour = COLOUR | {"weight": 2.0}
    both, _ = guided(type="dps", losses=[SQUARE, colour])
    single = [guided(type="dps", losses=[loss])[0].after for loss in (SQUARE, colour)]
    close(both.after, single[0] + single[1])


# Monte Carlo


def test_one_guess_without_spread_is_dps() -> None:
    dps, _ = guided(model=mixture(), x=noise(2, mixture()), type="dps", losses=[COLOUR])
    lgd, _ = guided(model=mixture(), x=noise(2, mixture()), type="lgd_mc", samples=1, spread=0, losses=[COLOUR])
    close(lgd.after, dps.after)


def test_guesses_count_by_their_likelihood() -> None:
    """The gradient of -ln mean exp(-loss(x0_i)), x0_i = D + sigma n_i, is the mean of theirs under exp(-loss)."""
    result, notes = guided(type="lgd_mc", samples=5, losses=[SQUARE])
    stream = torch.Generator().manual_seed(1)
    guesses = torch.stack([D + HERE.sigma * torch.randn(D.shape, generator=stream).double() for _ in range(5)])
    losses = ((guesses - Y) ** 2).flatten(1).sum(1) / (2 * TAU**2)
    shares = torch.softmax(-losses, 0).view(-1, 1, 1, 1, 1)
    close(result.after, -(shares * (guesses - Y) / TAU**2 * HERE.alpha).sum(0))
    assert float(notes["loss"]) == pytest.approx(math.log(5) - float(torch.logsumexp(-losses, 0)), rel=1e-12)


def test_the_gradient_is_not_divided_by_the_number_of_guesses() -> None:
    """Guesses that agree are one guess."""
    four, _ = guided(type="lgd_mc", samples=4, spread=0, losses=[SQUARE])
    one, _ = guided(type="lgd_mc", samples=1, spread=0, losses=[SQUARE])
    close(four.after, one.after)


# Universal guidance and MPGD


def test_forward_guidance_adds_to_the_noise() -> None:
    """eps + s sigma grad_x loss(D(x))."""
    model = mixture()
    x = noise(2, model)
    dps = Evaluation(model, x).guided(energy=[{"type": "dps", "losses": [COLOUR]}])
    universal = Evaluation(model, x).guided(energy=[{"type": "universal", "forward": 2.5, "losses": [COLOUR]}])
    assert dps.after is not None
    close(universal.prediction.eps, dps.prediction.eps - 2.5 * HERE.sigma * dps.after)
    assert universal.after is None


def test_backward_guidance_descends_from_the_denoised_estimate() -> None:
    """Of a squared distance every step keeps the share 1 - rate of what is left; eps - alpha / sigma Delta."""
    loss = SQUARE | {"weight": 1.0}
    result, _ = guided(type="universal", forward=0, steps=3, rate=0.2, losses=[loss])
    delta = (1 - 0.8**3) * (Y - D)
    close(result.prediction.denoised, D + delta)
    close(result.prediction.eps, (X - HERE.alpha * D) / HERE.sigma - HERE.alpha / HERE.sigma * delta)


def test_mpgd_steps_on_the_denoised_estimate_and_keeps_the_noise() -> None:
    """alpha' (D + s (y - D) / tau^2) + sigma' eps is the solver's step, moved by alpha' s (y - D) / tau^2."""
    result, _ = guided(type="mpgd", scale=0.05, losses=[SQUARE])
    close(result.after, THERE.alpha * 0.05 * (Y - D) / TAU**2)
    close(result.prediction.denoised, D)


def test_mpgd_arrives_where_its_paper_does() -> None:
    """A whole trajectory of DDIM against the paper's three lines, on data N(0, 1)."""
    sampler = DDIM(steps=6, spacing="leading")
    conditions = Conditions(MODEL.label(0), MODEL.encode(None))
    spec = GuidanceSpec.model_validate(
        {"schedule": ALONE, "energy": [{"type": "mpgd", "scale": 0.05, "losses": [SQUARE]}]}
    )
    trajectory = Trajectory(MODEL, spec, sampler, conditions, MODEL.shape(0, 0), 3)
    found = drive(trajectory.run(), MODEL.evaluate)
    z = torch.randn(MODEL.shape(0, 0), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for here, there in pairwise([*sampler.levels(MODEL.info.noise), CLEAN]):
        denoised = here.alpha * z
        eps = (z - here.alpha * denoised) / here.sigma
        z = there.alpha * (denoised - 0.05 * (denoised - Y) / TAU**2) + there.sigma * eps
    close(found, z, 2e-3)  # diffusers' last step ends at the first level of the table, not at zero


@pytest.mark.parametrize(
    "energy",
    [
        {"type": "dps", "scale": 0},
        {"type": "lgd_mc", "scale": 0},
        {"type": "mpgd", "scale": 0},
        {"type": "universal", "forward": 0, "steps": 0},
    ],
    ids=lambda energy: energy["type"],
)
def test_turned_off_it_is_the_base(energy: dict[str, Any]) -> None:
    evaluation = Evaluation(mixture(), noise(2, mixture()))
    result = evaluation.guided(energy=[energy | {"losses": [COLOUR]}])
    base = Evaluation(mixture(), noise(2, mixture())).guided()
    assert torch.equal(result.prediction.value, base.prediction.value) and result.after is None
    assert [branch.name for branch in evaluation.asked] == ["cond", "uncond"]


@pytest.mark.parametrize(("type", "asked"), [("dps", 4), ("lgd_mc", 4), ("universal", 4), ("mpgd", 2)])
def test_only_gradients_of_the_network_cost_evaluations(type: str, asked: int) -> None:
    evaluation = Evaluation(mixture(), noise(2, mixture()))
    evaluation.guided(energy=[{"type": type, "losses": [COLOUR]}])
    assert len(evaluation.asked) == asked


# Augmentation


def test_one_unchanged_copy_is_the_loss_itself() -> None:
    plain, _ = guided(type="dps", losses=[COLOUR])
    copied, _ = guided(type="dps", losses=[COLOUR], augmentation={"copies": 1, "changes": []})
    close(copied.after, plain.after)


def test_it_is_the_mean_over_the_copies() -> None:
    """Not the sum: the strength does not grow with their number."""
    plain, _ = guided(type="dps", losses=[COLOUR])
    copied, _ = guided(type="dps", losses=[COLOUR], augmentation={"copies": 7, "changes": []})
    close(copied.after, plain.after)


def test_augmented_gradients_differ_and_repeat() -> None:
    model = standard(pixels=16, channels=3)
    found = [
        guided(model=model, x=noise(2, model), type="dps", losses=[COLOUR], augmentation={})[0].after for _ in range(2)
    ]
    assert torch.equal(*found)
    assert not torch.equal(found[0], guided(model=model, x=noise(2, model), type="dps", losses=[COLOUR])[0].after)


def test_a_loss_of_places_is_not_augmented() -> None:
    energy = {"type": "dps", "losses": [COLOUR, SQUARE], "augmentation": {}}
    with pytest.raises(ValidationError, match="augmentation moves the picture, which match compares place by place"):
        GuidanceSpec.model_validate({"energy": [energy]})
