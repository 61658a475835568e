"""The checker: right on clean renders, and able to say no."""

import torch
from torch import Generator

from training.captions import Claims, ThingClaim, draw_claims
from training.checker import judge, read
from training.measure import everything
from training.paint import render
from training.pictures import draw_scenes
from training.scenes import Scene, Thing
from training.segments import components

STAR = Scene((Thing("star", "red", 18.0, 32.0, 32.0),), "dark", "striped")


def test_every_attribute_of_clean_renders_is_read_right() -> None:
    scenes = draw_scenes(120, seed=11, pair_share=0.3)
    for scene, picture in zip(scenes, render(scenes), strict=True):
        assert all(judge(read(picture), everything(scene)).values()), scene


def test_drawn_captions_are_confirmed_on_their_own_renders() -> None:
    generator = Generator().manual_seed(0)
    scenes = draw_scenes(40, seed=12)
    for scene, picture in zip(scenes, render(scenes), strict=True):
        assert all(judge(read(picture), draw_claims(scene, generator)).values())


def test_each_wrong_attribute_is_found_and_the_others_stay_right() -> None:
    claims = Claims((ThingClaim("ring", "red", "small"),), None, "dark", "checkered")
    assert judge(read(render([STAR])[0]), claims) == {
        "count": True, "tone": True, "pattern": False, "shape": False, "colour": True, "size": False,
    }  # fmt: skip


def test_an_empty_picture_has_nothing_right_about_its_thing() -> None:
    verdict = judge(read(torch.full((3, 64, 64), 0.95)), Claims((ThingClaim("star", "red"),), None, "light"))
    assert verdict == {"count": False, "tone": True, "shape": False, "colour": False}


def test_the_relation_is_not_symmetric() -> None:
    things = (Thing("star", "red", 10.0, 18.0, 32.0), Thing("ring", "blue", 10.0, 46.0, 32.0))
    reading = read(render([Scene(things, "light", "plain", "left of")])[0])
    star, ring = ThingClaim("star", "red"), ThingClaim("ring", "blue")
    assert judge(reading, Claims((star, ring), "left of"))["relation"]
    assert judge(reading, Claims((ring, star), "right of"))["relation"]
    assert not all(judge(reading, Claims((ring, star), "left of")).values())
    assert not judge(reading, Claims((star, ring), "above"))["relation"]


def test_components_join_diagonally_and_keep_apart_otherwise() -> None:
    mask = torch.tensor([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 0, 1]], dtype=torch.bool)
    found = [sorted(map(tuple, part.tolist())) for part in components(mask)]
    assert sorted(found) == [[(0, 0), (1, 1)], [(0, 3), (1, 3)], [(3, 0), (3, 1)], [(3, 3)]]
