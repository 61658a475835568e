"""What every point of a sweep is asked: captions and seeds, the same at each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from torch import Generator

from evaluation.sweep import DrawnCaptions, Sweep
from training.captions import Claims, draw_claims, parse, phrase
from training.pictures import draw_scenes
from training.scenes import PAIR_SHARE, Combinations, Scene

PAIR_SHARES = {"all": PAIR_SHARE, "single": 0.0, "pair": 1.0}
REAL_SEED = 20_261_102
"""Of the scenes that stand for listed captions, which come from no scene."""


@dataclass(frozen=True)
class Question:
    """One image's caption and seed. `claims` is None for a caption that `training.captions` did not phrase."""

    caption: str
    claims: Claims | None
    seed: int
    scene: Scene
    """A real one: that of the caption where it was drawn from one."""


def questions(sweep: Sweep, count: int) -> list[Question]:
    """The first `count`. Fewer are the beginning of more, so that a larger size goes on from a smaller one."""
    asked = _drawn(sweep.captions, count) if isinstance(sweep.captions, DrawnCaptions) else _listed(sweep, count)
    return [
        Question(caption, claims, sweep.seed + index, scene) for index, (caption, claims, scene) in enumerate(asked)
    ]


def drawn_as(sweep: Sweep) -> tuple[float, Combinations]:
    """What scenes are real: the share of those with two things, and the combinations of shape and colour."""
    captions = sweep.captions
    if isinstance(captions, DrawnCaptions):
        return PAIR_SHARES[captions.draw], captions.combinations
    return PAIR_SHARE, "seen"


def _drawn(captions: DrawnCaptions, count: int) -> list[tuple[str, Claims | None, Scene]]:
    scenes = draw_scenes(count, captions.seed, PAIR_SHARES[captions.draw], captions.combinations)
    generator = Generator().manual_seed(captions.seed)
    claims = [draw_claims(scene, generator) for scene in scenes]
    return [(phrase(claim), claim, scene) for claim, scene in zip(claims, scenes, strict=True)]


def _listed(sweep: Sweep, count: int) -> list[tuple[str, Claims | None, Scene]]:
    assert isinstance(sweep.captions, list)
    known = [(caption, claims_of(caption)) for caption in sweep.captions]
    scenes = draw_scenes(count, REAL_SEED, combinations="seen")
    return [(*asked, scene) for asked, scene in zip(islice(cycle(known), count), scenes, strict=True)]


def claims_of(caption: str) -> Claims | None:
    """What a caption claims; None for one in other words than the model's."""
    try:
        return parse(caption)
    except ValueError:
        return None


def judged(asked: Sequence[Question], caption: str | None) -> list[Claims | None]:
    """What each image is judged by: its own caption, or one for all."""
    other = None if caption is None else claims_of(caption)
    return [question.claims if caption is None else other for question in asked]
