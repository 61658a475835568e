"""Scenes of one or two coloured shapes on a toned, patterned background, as words and numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import torch
from torch import Generator

from training.shapes import SHAPES

SIDE = 64
COLOURS: dict[str, int] = {
    "red": 0xE03131, "orange": 0xF98217, "yellow": 0xFFD43B, "green": 0x37B24D,
    "cyan": 0x3BD0E0, "blue": 0x2360E0, "purple": 0x8B3FD9, "pink": 0xFF85B8,
}  # fmt: skip
TONES: dict[str, tuple[int, int]] = {
    "light": (0xF6F1E7, 0xE6DCCB),
    "grey": (0x98A1AD, 0x858E9B),
    "dark": (0x222937, 0x343E50),
}
PATTERNS = ("plain", "striped", "checkered")
PATTERN_SHARES = (0.5, 0.25, 0.25)
SIZES: dict[str, tuple[float, float]] = {"small": (10.0, 12.5), "large": (17.0, 20.0)}
SIZE_BORDER = 14.75  # px, half way between the largest small radius and the smallest large one
JITTER: dict[str, float] = {"small": 10.0, "large": 5.0}  # px, of a single object's centre around the middle
PAIR_RADII = (9.5, 11.0)
PAIR_SHARE = 0.4
RELATIONS: dict[str, tuple[int, int]] = {"above": (0, -1), "below": (0, 1), "left of": (-1, 0), "right of": (1, 0)}
UNSEEN = (("circle", "purple"), ("square", "orange"), ("triangle", "cyan"), ("star", "green"), ("ring", "pink"),
          ("cross", "yellow"))  # fmt: skip
"""Shape and colour of things that no training scene has: each shape and each of these colours is seen with others."""
Combinations = Literal["all", "seen", "unseen"]
COMBINATIONS: tuple[Combinations, ...] = get_args(Combinations)
Option = TypeVar("Option")


@dataclass(frozen=True)
class Thing:
    """One shape: nominal radius and centre in pixels from the top left corner."""

    shape: str
    colour: str
    radius: float
    x: float
    y: float

    @property
    def size(self) -> str:
        return "small" if self.radius < SIZE_BORDER else "large"


@dataclass(frozen=True)
class Scene:
    """One thing, or two with `relation` read from the first to the second."""

    things: tuple[Thing, ...]
    tone: str
    pattern: str
    relation: str | None = None


class Dice:
    """The few draws a scene needs, from one seeded generator."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def chance(self, probability: float) -> bool:
        return self.uniform(0, 1) < probability

    def choice(self, options: Sequence[Option]) -> Option:
        return options[int(torch.randint(len(options), (), generator=self.generator))]

    def pattern(self) -> str:
        return PATTERNS[int(torch.multinomial(torch.tensor(PATTERN_SHARES), 1, generator=self.generator))]


def kinds(combinations: Combinations) -> list[tuple[str, str]]:
    """Shape and colour of the things that may be drawn."""
    wanted = {"all": (True, False), "seen": (False,), "unseen": (True,)}[combinations]
    every = [(shape, colour) for shape in SHAPES for colour in COLOURS]
    return [kind for kind in every if (kind in UNSEEN) in wanted]


def draw_scene(generator: Generator, pair_share: float = PAIR_SHARE, combinations: Combinations = "all") -> Scene:
    """Draw a scene: every attribute uniform and independent, except that half of the backgrounds are plain.

    `combinations` of shape and colour that things may have: all, those of training, or those held out of it.
    """
    dice, allowed = Dice(generator), kinds(combinations)
    tone, pattern = dice.choice(list(TONES)), dice.pattern()
    if not dice.chance(pair_share):
        return Scene((draw_single(dice, allowed),), tone, pattern)
    relation = dice.choice(list(RELATIONS))
    return Scene(draw_pair(dice, relation, allowed), tone, pattern, relation)


def draw_single(dice: Dice, allowed: Sequence[tuple[str, str]]) -> Thing:
    size = dice.choice(list(SIZES))
    x, y = (SIDE / 2 + dice.uniform(-JITTER[size], JITTER[size]) for _ in range(2))
    return Thing(*dice.choice(allowed), dice.uniform(*SIZES[size]), x, y)


def draw_pair(dice: Dice, relation: str, allowed: Sequence[tuple[str, str]]) -> tuple[Thing, Thing]:
    """Two things 28 px apart (give or take two), the first on the side that `relation` names."""
    dx, dy = RELATIONS[relation]
    drift = dice.uniform(-6, 6)

    def place(side: int) -> Thing:
        kind, radius = dice.choice(allowed), dice.uniform(*PAIR_RADII)
        x = SIDE / 2 + side * 14 * dx + abs(dy) * drift + dice.uniform(-1, 1)
        y = SIDE / 2 + side * 14 * dy + abs(dx) * drift + dice.uniform(-1, 1)
        return Thing(*kind, radius, x, y)

    return place(1), place(-1)
