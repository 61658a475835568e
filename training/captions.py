"""What a caption claims about a scene, its words, and the way back from words to claims."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from torch import Generator

from training.scenes import COLOURS, PATTERNS, RELATIONS, SIZES, TONES, Dice, Scene, Thing
from training.shapes import SHAPES

STATED = {"size": 0.5, "colour": 0.85, "shape": 0.9, "background": 0.6, "tone": 0.85, "pattern": 0.7}
ANY_SHAPE = "shape"
EMPTY = ""  # the null caption, the same in training (condition dropout) and in sampling (guidance)

RELATION_WORDS = ("above", "below", "left", "right", "of")
WORDS = ("a", "an", "on", "background", ANY_SHAPE, *SIZES, *COLOURS, *SHAPES, *RELATION_WORDS, *TONES, *PATTERNS)


@dataclass(frozen=True)
class ThingClaim:
    """Stated attributes of one thing; None leaves one open."""

    shape: str | None = None
    colour: str | None = None
    size: str | None = None


@dataclass(frozen=True)
class Claims:
    """Stated attributes of a scene. Two things always come with their relation, first to second."""

    things: tuple[ThingClaim, ...]
    relation: str | None = None
    tone: str | None = None
    pattern: str | None = None


def draw_claims(scene: Scene, generator: Generator, always: Collection[str] = ()) -> Claims:
    """True claims about a scene, each attribute stated with its probability in STATED, or `always`.

    What is left open keeps several scenes possible under one caption: the diversity that guidance trades away. The
    size is stated for single things only, and a background that is mentioned has its tone, its pattern or both.
    """
    dice = Dice(generator)

    def said(attribute: str, value: str) -> str | None:
        return value if dice.chance(STATED[attribute]) or attribute in always else None

    def claim(thing: Thing) -> ThingClaim:
        size = said("size", thing.size) if len(scene.things) == 1 else None
        return ThingClaim(said("shape", thing.shape), said("colour", thing.colour), size)

    things = tuple(claim(thing) for thing in scene.things)
    if not dice.chance(STATED["background"]):
        return Claims(things, scene.relation)
    tone, pattern = said("tone", scene.tone), said("pattern", scene.pattern)
    return Claims(things, scene.relation, scene.tone if pattern is None else tone, pattern)


def phrase(claims: Claims) -> str:
    """Claims in words: "a small red star on a dark striped background", "a shape above an orange ring"."""
    things = f" {claims.relation} ".join(thing_phrase(thing) for thing in claims.things)
    if claims.tone is None and claims.pattern is None:
        return things
    return f"{things} on {article([claims.tone, claims.pattern, 'background'])}"


def thing_phrase(thing: ThingClaim) -> str:
    return article([thing.size, thing.colour, thing.shape or ANY_SHAPE])


def article(words: Sequence[str | None]) -> str:
    spoken = " ".join(word for word in words if word)
    return f"an {spoken}" if spoken[0] in "aeiou" else f"a {spoken}"


def parse(text: str) -> Claims:
    """Claims of a caption in the form `phrase` writes; ValueError for any other text."""
    relation = next((name for name in RELATIONS if f" {name} " in text), None)
    front, _, back = text.partition(" on ")
    parts = front.split(f" {relation} ") if relation else [front]
    things = tuple(
        ThingClaim(find(part, SHAPES), find(part, tuple(COLOURS)), find(part, tuple(SIZES))) for part in parts
    )
    claims = Claims(things, relation, find(back, tuple(TONES)), find(back, PATTERNS))
    if phrase(claims) != text:
        raise ValueError(f"caption {text!r} is not in the form {phrase(claims)!r}")
    return claims


def find(text: str, options: Sequence[str]) -> str | None:
    """The first of `options` that is a word of the text."""
    return next((option for option in options if option in text.split()), None)
