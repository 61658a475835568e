"""Losses of clean pictures: values by hand, rows on their own, gradients by finite differences."""

from __future__ import annotations

import math
from typing import Any

import PIL.Image
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from guidance.losses import Augmentation, Clean, Colour, Label, Loss, Match
from guidance.losses.augmentation import CHANGES
from guidance.losses.operators import blurred, shrunk
from guidance.picture import data_url
from tests.guidance.energies.evaluation import mixture, noise, standard
from tests.guidance.pictures import png
from tests.guidance.strategies import LAW

MODEL = standard(pixels=8, channels=3)
X = 0.3 * noise(1, MODEL)


def solid(colour: tuple[int, int, int], side: int = 8) -> str:
    return data_url(png(PIL.Image.new("RGB", (side, side), colour)))


def half(side: int = 8) -> str:
    """White on the left, black on the right."""
    picture = PIL.Image.new("RGB", (side, side), "black")
    picture.paste("white", (0, 0, side // 2, side))
    return data_url(png(picture))


def value(loss: Loss, x: Tensor = X) -> Tensor:
    return loss.value(Clean(x, MODEL))


LOSSES: list[Loss] = [
    Colour(target="#204060"),
    Colour(target="#204060", left=0.25, right=0.5, top=0.5),
    Match(image=solid((10, 200, 30))),
    Match(image=solid((10, 200, 30)), measure="square"),
    Match(image=solid((10, 200, 30)), operator="mask", mask=half()),
    Match(image=solid((10, 200, 30), side=2), operator="downscale", factor=4),
    Match(image=solid((10, 200, 30)), operator="blur", sigma=1.5),
    Label(labels=(0,)),
]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: f"{loss.type} {getattr(loss, 'operator', '')}")


@every_loss
def test_a_row_is_a_number_of_its_own(loss: Loss) -> None:
    rows = torch.cat([X, 0.5 * X, -X])
    found = value(loss, rows)
    assert found.shape == (3,)
    for row, number in zip(rows.split(1), found, strict=True):  # type: ignore[no-untyped-call]
        torch.testing.assert_close(value(loss, row)[0], number, rtol=1e-12, atol=1e-12)


@every_loss
def test_its_gradient_is_its_slope(loss: Loss) -> None:
    x = X.clone().requires_grad_()
    [gradient] = torch.autograd.grad(value(loss, x).sum(), x) if value(loss, x).requires_grad else [torch.zeros(())]
    direction, length = noise(7, MODEL), 1e-6
    slope = (value(loss, X + length * direction) - value(loss, X - length * direction)) / (2 * length)
    torch.testing.assert_close((gradient * direction).sum(), slope[0], rtol=1e-5, atol=1e-7)


def test_match_is_the_distance_in_pixels() -> None:
    grey = torch.zeros_like(X)
    away = 255 / 127.5 - 1  # white, of grey 0
    assert float(value(Match(image=solid((255, 255, 255))), grey)) == pytest.approx(away * math.sqrt(X.numel()))
    squared = value(Match(image=solid((255, 255, 255)), measure="square"), grey)
    assert float(squared) == pytest.approx(away**2 * X.numel() / 2)


def test_a_mask_hides_what_is_black() -> None:
    loss = Match(image=solid((255, 255, 255)), operator="mask", mask=half(), measure="square")
    x = torch.ones_like(X)
    x[..., 4:] = noise(3, MODEL)[..., 4:]
    assert float(value(loss, x)) == 0
    x[..., 0] = 0
    assert float(value(loss, x)) == pytest.approx(8 * 3 / 2)


def test_downscale_compares_the_means_of_blocks() -> None:
    x = torch.zeros_like(X)
    x[..., ::4, ::4] = 16.0  # one of 16 pixels of each block
    loss = Match(image=solid((255, 255, 255), side=2), operator="downscale", factor=4)
    assert float(value(loss, x)) == pytest.approx(0, abs=1e-12)


def test_colour_is_the_distance_to_the_nearest_picture_of_that_mean() -> None:
    """Adding the same to every pixel reaches it, and no shorter way does."""
    loss = Colour(target="#ffffff", right=0.5)
    mean = X[..., :4].mean((2, 3), keepdim=True)
    reached = X.clone()
    reached[..., :4] += 1 - mean
    assert float(value(loss, reached)) == pytest.approx(0, abs=1e-12)
    assert float(value(loss)) == pytest.approx(float((reached - X).norm()), rel=1e-12)


def test_a_label_is_its_negative_log_probability() -> None:
    model, x = mixture(), noise(2, mixture())
    cleanest = float(model.info.noise.ratios[0])
    alpha = 1 / math.hypot(1, cleanest)
    [found] = Label(labels=(1, "2")).value(Clean(x, model))
    variance = alpha**2 * model.stds**2 + (1 - alpha**2)
    square = (alpha * x - alpha * model.means).flatten(1).square().sum(1)
    log = torch.log_softmax(-square / (2 * variance) - x.numel() / 2 * variance.log(), 0)
    assert float(found) == pytest.approx(-float(log[1] + log[2]), rel=1e-9)


@LAW
@given(sigma=st.floats(0.05, 100), side=st.integers(1, 9))
def test_a_blur_keeps_what_is_even(sigma: float, side: int) -> None:
    even = torch.full((1, 2, side, side), 0.7, dtype=torch.float64)
    torch.testing.assert_close(blurred(even, sigma), even, rtol=1e-12, atol=1e-12)


def test_a_blur_is_a_gaussian_of_its_sigma() -> None:
    point = torch.zeros(1, 1, 41, 41, dtype=torch.float64)
    point[0, 0, 20, 20] = 1
    spread = blurred(point, 2.0)[0, 0].sum(0)
    offsets = torch.arange(-20, 21, dtype=torch.float64)
    assert float((spread * offsets**2).sum()) == pytest.approx(2.0**2, rel=0.03)  # cut at three deviations


def test_blocks_are_averaged() -> None:
    image = torch.arange(16, dtype=torch.float64).view(1, 1, 4, 4)
    assert shrunk(image, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"operator": "mask"}, "operator = mask needs a mask"),
        ({"mask": solid((0, 0, 0))}, "operator = identity takes no mask"),
    ],
)
def test_a_mask_goes_with_its_operator(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Match(image=solid((1, 2, 3)), **fields)


def test_a_rectangle_is_not_empty() -> None:
    with pytest.raises(ValidationError, match=r"left = 0\.5 must be below right = 0\.5"):
        Colour(left=0.5, right=0.5)
    assert value(Colour(left=0.99, top=0.99)).shape == (1,)


# Augmentation


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_keeps_the_shape_and_is_differentiable(change: Any) -> None:
    x = X.clone().requires_grad_()
    changed = CHANGES[change](x, torch.Generator().manual_seed(3))
    [gradient] = torch.autograd.grad(changed.square().sum(), x)
    assert changed.shape == x.shape and not torch.equal(changed, x) and gradient.isfinite().all()


def test_a_translation_is_at_most_an_eighth() -> None:
    seen = set()
    for seed in range(40):
        moved = CHANGES["translation"](torch.ones(1, 1, 16, 16), torch.Generator().manual_seed(seed))
        seen.add((int((moved[0, 0].sum(1) == 0).sum()), int((moved[0, 0].sum(0) == 0).sum())))
    assert max(max(pair) for pair in seen) == 2 and (0, 0) in seen


def test_a_hole_is_half_as_wide() -> None:
    areas = [
        float((CHANGES["cutout"](torch.ones(1, 1, 16, 16), torch.Generator().manual_seed(seed)) == 0).sum())
        for seed in range(40)
    ]
    assert max(areas) == 64 and min(areas) >= 16


def test_latents_keep_their_values_but_not_their_places() -> None:
    """Their channels are no colours."""
    changes = Augmentation(copies=3, changes=("colour",))
    assert torch.equal(changes.applied(X, torch.Generator(), of_pixels=False), X.expand(3, -1, -1, -1))
    assert not torch.equal(changes.applied(X, torch.Generator(), of_pixels=True)[:1], X)
