"""Captions say true things, in words that can be read back."""

import pytest
from torch import Generator

from training.captions import WORDS, Claims, ThingClaim, draw_claims, parse, phrase
from training.pictures import draw_scenes


def test_claims_survive_the_way_through_words() -> None:
    generator = Generator().manual_seed(0)
    for scene in draw_scenes(300, seed=0, pair_share=0.5):
        claims = draw_claims(scene, generator)
        assert parse(phrase(claims)) == claims


def test_captions_use_only_the_listed_words() -> None:
    generator = Generator().manual_seed(1)
    spoken = {word for scene in draw_scenes(500, seed=1) for word in phrase(draw_claims(scene, generator)).split()}
    assert spoken <= set(WORDS)


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        (Claims((ThingClaim(),)), "a shape"),
        (Claims((ThingClaim("star", "red", "small"),), None, "dark"), "a small red star on a dark background"),
        (Claims((ThingClaim("ring", "orange"),), None, None, "plain"), "an orange ring on a plain background"),
        (Claims((ThingClaim("cross"), ThingClaim(None, "pink")), "left of"), "a cross left of a pink shape"),
    ],
)  # fmt: skip
def test_phrases(claims: Claims, text: str) -> None:
    assert phrase(claims) == text


def test_what_is_not_a_caption_is_refused() -> None:
    with pytest.raises(ValueError, match="a red dog"):
        parse("a red dog")
