"""Scenes of one or two coloured shapes on a toned, patterned background, and their 64x64 pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from training.shapes import SHAPES, distance

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
PAIR_SHARE = 0.15
RELATIONS: dict[str, tuple[int, int]] = {"above": (0, -1), "below": (0, 1), "left of": (-1, 0), "right of": (1, 0)}
PERIOD = 16  # px, of stripes (along x) and checks
SHADOW_OFFSET = (1.5, 2.5)
SHADOW = 0.3


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

    def choice(self, options: Sequence[str]) -> str:
        return options[int(torch.randint(len(options), (), generator=self.generator))]

    def pattern(self) -> str:
        return PATTERNS[int(torch.multinomial(torch.tensor(PATTERN_SHARES), 1, generator=self.generator))]


def draw_scene(generator: Generator, pair_share: float = PAIR_SHARE) -> Scene:
    """Draw a scene: every attribute uniform and independent, except that half of the backgrounds are plain."""
    dice = Dice(generator)
    tone, pattern = dice.choice(list(TONES)), dice.pattern()
    if not dice.chance(pair_share):
        return Scene((draw_single(dice),), tone, pattern)
    relation = dice.choice(list(RELATIONS))
    return Scene(draw_pair(dice, relation), tone, pattern, relation)


def draw_single(dice: Dice) -> Thing:
    size = dice.choice(list(SIZES))
    x, y = (SIDE / 2 + dice.uniform(-JITTER[size], JITTER[size]) for _ in range(2))
    return Thing(dice.choice(SHAPES), dice.choice(list(COLOURS)), dice.uniform(*SIZES[size]), x, y)


def draw_pair(dice: Dice, relation: str) -> tuple[Thing, Thing]:
    """Two things 28 px apart (give or take two), the first on the side that `relation` names."""
    dx, dy = RELATIONS[relation]
    drift = dice.uniform(-6, 6)

    def place(side: int) -> Thing:
        shape, colour, radius = dice.choice(SHAPES), dice.choice(list(COLOURS)), dice.uniform(*PAIR_RADII)
        x = SIDE / 2 + side * 14 * dx + abs(dy) * drift + dice.uniform(-1, 1)
        y = SIDE / 2 + side * 14 * dy + abs(dx) * drift + dice.uniform(-1, 1)
        return Thing(shape, colour, radius, x, y)

    return place(1), place(-1)


def rgb(colour: int) -> Tensor:
    """0xRRGGBB as three numbers in [0, 1]."""
    return torch.tensor([(colour >> shift & 255) / 255 for shift in (16, 8, 0)])


def pixel_centres() -> tuple[Tensor, Tensor]:
    """x and y of every pixel's middle, each (SIDE, SIDE)."""
    axis = torch.arange(SIDE) + 0.5
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x, y


def pattern_mask(pattern: str) -> Tensor:
    """Share of the second tone in each pixel (SIDE, SIDE): diagonal stripes or checks of 8 px."""
    x, y = pixel_centres()
    half = PERIOD / 2
    if pattern == "plain":
        return torch.zeros(SIDE, SIDE)
    if pattern == "checkered":
        return ((x // half + y // half) % 2).float()
    wave = ((x + y) % PERIOD - half).abs() - half / 2  # signed distance to the stripe's edge, along x
    return (0.5 - wave).clamp(0, 1)


def background(tone: str, pattern: str) -> Tensor:
    """Picture (3, SIDE, SIDE) of the empty background."""
    first, second = (rgb(colour)[:, None, None] for colour in TONES[tone])
    return first + (second - first) * pattern_mask(pattern)


def thing_distance(things: Sequence[Thing], offset: tuple[float, float] = (0.0, 0.0)) -> Tensor:
    """Signed distances (N, SIDE, SIDE) to each thing moved by `offset`, one vectorised call per shape."""
    px, py = pixel_centres()
    out = torch.empty(len(things), SIDE, SIDE)
    for shape in {thing.shape for thing in things}:
        rows = [row for row, thing in enumerate(things) if thing.shape == shape]
        numbers = torch.tensor([(things[row].x, things[row].y, things[row].radius) for row in rows])
        x, y, radius = (part[:, None, None] for part in numbers.unbind(1))
        out[rows] = distance(shape, px - x - offset[0], py - y - offset[1], radius)
    return out


def coverage(things: Sequence[Thing]) -> Tensor:
    """Anti-aliased masks (N, SIDE, SIDE): a pixel's share of the thing, from the signed distance."""
    return (0.5 - thing_distance(things)).clamp(0, 1)


def paint(pictures: Tensor, things: Sequence[Thing]) -> Tensor:
    """One thing on each picture (N, 3, SIDE, SIDE): a soft shadow, then the shape, lit from above."""
    shadow = SHADOW * torch.sigmoid(-thing_distance(things, SHADOW_OFFSET) / 1.25)
    pictures = pictures * (1 - shadow[:, None])
    _, py = pixel_centres()
    height = torch.stack([(thing.y - py) / (1.2 * thing.radius) for thing in things]).clamp(-1, 1)[:, None]
    flat = torch.stack([rgb(COLOURS[thing.colour]) for thing in things])[:, :, None, None]
    lit = flat + height.clamp(min=0) * 0.18 * (1 - flat) + height.clamp(max=0) * 0.16 * flat
    return torch.lerp(pictures, lit, coverage(things)[:, None])


def render(scenes: Sequence[Scene]) -> Tensor:
    """Pictures (N, 3, SIDE, SIDE) of scenes, in [0, 1]."""
    pictures = torch.stack([background(scene.tone, scene.pattern) for scene in scenes])
    for depth in range(max(len(scene.things) for scene in scenes)):
        rows = [row for row, scene in enumerate(scenes) if len(scene.things) > depth]
        pictures[rows] = paint(pictures[rows], [scenes[row].things[depth] for row in rows])
    return pictures
