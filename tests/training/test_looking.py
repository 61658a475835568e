"""What the classifier of clean pictures is told, and how pictures are worn for it."""

import math

import pytest
import torch
from torch import Generator

from training.looking import BLUR, GROUPS, MEASURES, NOISE, SHIFT, looking_loss, new_features, told, worn
from training.paint import render
from training.scenes import SIDE, Scene, Thing

ABOVE = Scene(
    (Thing("ring", "blue", 10.0, 32.0, 46.0), Thing("star", "red", 10.0, 32.0, 18.0)), "dark", "plain", "below"
)
ALONE = Scene((Thing("cross", "pink", 18.0, 30.0, 33.0),), "grey", "striped")


def test_of_two_things_the_upper_one_is_the_first() -> None:
    truth, places = told([ABOVE, ALONE])
    names = [{group: GROUPS[group][row[place]] for place, group in enumerate(GROUPS)} for row in truth.tolist()]
    assert names[0] == {
        "colour": "red", "shape": "star", "other colour": "blue", "other shape": "ring",
        "layout": "stacked", "pattern": "plain", "tone": "dark",
    }  # fmt: skip
    assert (names[1]["layout"], names[1]["other shape"]) == ("large", "none")
    torch.testing.assert_close(places * SIDE, torch.tensor([[32.0, 18.0, 10.0], [30.0, 33.0, 18.0]]))


def test_worn_pictures_are_as_worn_as_the_measures_say() -> None:
    pictures, places = render([ALONE]).repeat(64, 1, 1, 1), torch.zeros(64, 3)
    out, measures = worn(pictures, places, Generator().manual_seed(0))
    moved, blur, noise = measures[:, :2] * SIDE, measures[:, 3], measures[:, 4] / 10
    assert bool((moved.abs() <= SHIFT).all()) and float(blur.max()) <= BLUR and float(noise.max()) <= NOISE
    dx, dy = (round(part) for part in moved[0].tolist())
    clean = (blur == 0) & (noise == 0)
    assert 10 < int(clean.sum()) < 54
    middle = slice(8, SIDE - 8)
    shifted = torch.roll(pictures, (dy, dx), (2, 3))[..., middle, middle]
    apart = (out[..., middle, middle] - shifted).flatten(1).std(1)
    assert float(apart[clean].max()) == 0.0
    assert bool((apart[~clean] > 0.9 * noise[~clean]).all())


def test_an_untrained_classifier_guesses() -> None:
    torch.manual_seed(0)
    truth, _ = told([ABOVE, ALONE])
    loss = looking_loss(new_features().eval(), render([ABOVE, ALONE]), truth, torch.zeros(2, len(MEASURES)))
    guess = sum(math.log(len(classes)) for classes in GROUPS.values()) / len(GROUPS)
    assert float(loss.detach()) == pytest.approx(guess, abs=0.3)
