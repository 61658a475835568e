"""Which scenes captions and real pictures are of."""

import pytest

from evaluation.questions import drawn_as, questions
from evaluation.sweep import Sweep
from training.pictures import draw_scenes
from training.scenes import COMBINATIONS, PAIR_SHARE, Combinations, kinds


def asking(sweep: Sweep, **captions: object) -> Sweep:
    return Sweep.model_validate(sweep.model_dump() | {"captions": captions})


@pytest.mark.parametrize("combinations", COMBINATIONS)
def test_captions_and_real_pictures_keep_to_the_combinations(sweep: Sweep, combinations: Combinations) -> None:
    asked = asking(sweep, draw="pair", combinations=combinations)
    allowed = set(kinds(combinations))
    real = draw_scenes(60, 3, *drawn_as(asked))
    for scenes in ([question.scene for question in questions(asked, 60)], real):
        assert {(thing.shape, thing.colour) for scene in scenes for thing in scene.things} <= allowed
        assert all(len(scene.things) == 2 for scene in scenes)


def test_by_default_they_are_as_in_training(sweep: Sweep) -> None:
    assert drawn_as(sweep) == drawn_as(asking(sweep)) == (PAIR_SHARE, "seen")


def test_fewer_are_the_beginning_of_more(sweep: Sweep) -> None:
    assert questions(sweep, 5) == questions(sweep, 9)[:5]
