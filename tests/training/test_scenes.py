"""Scenes: seeded, in the frame, and painted in the colours they name."""

import torch
from torch import Generator

from training.paint import background, coverage, light, render, rgb
from training.pictures import draw_pictures, draw_scenes
from training.scenes import COLOURS, PAIR_SHARE, RELATIONS, SIDE, UNSEEN, Scene, Thing, draw_scene, kinds
from training.shapes import SHAPES, unit_area


def test_the_same_seed_draws_the_same_pictures() -> None:
    first, again, other = (draw_pictures(draw_scenes(8, seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_every_combination_is_seen_or_unseen_and_every_word_is_seen() -> None:
    assert len(kinds("all")) == len(SHAPES) * len(COLOURS)
    assert sorted(kinds("seen") + kinds("unseen")) == sorted(kinds("all"))
    assert set(kinds("unseen")) == set(UNSEEN)
    for words, place in ((SHAPES, 0), (COLOURS, 1)):
        assert {kind[place] for kind in kinds("seen")} == set(words)


def test_scenes_keep_to_their_combinations() -> None:
    for combinations in ("seen", "unseen"):
        things = [thing for scene in draw_scenes(150, 1, 0.5, combinations) for thing in scene.things]
        assert {(thing.shape, thing.colour) for thing in things} <= set(kinds(combinations))


def test_pictures_are_in_range() -> None:
    pictures = render(draw_scenes(16, seed=0))
    assert pictures.shape == (16, 3, SIDE, SIDE)
    assert 0 <= float(pictures.min()) <= float(pictures.max()) <= 1


def test_no_thing_is_cut_by_the_frame_or_touches_another() -> None:
    for scene in draw_scenes(200, seed=1, pair_share=0.5):
        masks = coverage(scene.things) > 0
        edge = masks.clone()
        edge[:, 1:-1, 1:-1] = False
        assert not edge.any()
        assert int(masks.sum(0).max()) == 1


def test_anti_aliased_coverage_sums_to_the_area() -> None:
    for shape in SHAPES:
        thing = Thing(shape, "red", 18.0, 31.3, 32.6)
        assert abs(float(coverage([thing]).sum()) / (unit_area(shape) * 18.0**2) - 1) < 0.01


def test_a_thing_has_its_colour_in_the_middle_and_the_background_elsewhere() -> None:
    picture = render([Scene((Thing("square", "blue", 12.0, 32.0, 32.0),), "light", "plain")])[0]
    torch.testing.assert_close(picture[:, 31, 31], rgb(COLOURS["blue"]), atol=0.03, rtol=0)
    torch.testing.assert_close(picture[:, 2, 2], background("light", "plain")[:, 2, 2], atol=1e-3, rtol=0)


def test_the_bevel_turns_to_the_lamp_above_on_the_left() -> None:
    """Of a square: its upper and left edges are lighter than its colour, the others darker, its middle neither."""
    thing = Thing("square", "blue", 18.0, 32.0, 32.0)
    change, inside = light([thing])[0], coverage([thing])[0] == 1
    rows, columns = (torch.nonzero(inside.any(axis)).flatten() for axis in (1, 0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
    assert float(change[top, 32]) > 0.2 and float(change[32, left]) > 0.15
    assert float(change[bottom, 32]) < -0.2 and float(change[32, right]) < -0.15
    assert abs(float(change[32, 32])) < 0.03


def test_the_first_thing_of_a_pair_stands_where_the_relation_says() -> None:
    for scene in draw_scenes(100, seed=2, pair_share=1.0):
        assert scene.relation is not None
        dx, dy = RELATIONS[scene.relation]
        first, second = scene.things
        assert (first.x - second.x) * dx + (first.y - second.y) * dy > 20


def test_the_share_of_pairs_is_within_four_sigma() -> None:
    generator = Generator().manual_seed(0)
    pairs = sum(len(draw_scene(generator).things) == 2 for _ in range(2000))
    assert abs(pairs / 2000 - PAIR_SHARE) < 4 * (PAIR_SHARE * (1 - PAIR_SHARE) / 2000) ** 0.5
