"""Pictures of scenes: signed distances, a lamp above on the left, soft shadows and bevelled edges."""

from collections.abc import Sequence

import torch
from torch import Tensor

from training.scenes import COLOURS, SIDE, TONES, Scene, Thing
from training.shapes import distance

PERIOD = 16  # px, of stripes (along x) and checks
FALLOFF = 0.25  # of the background's brightness, at one side's length from where it is brightest
SHADOW_OFFSET = (2.5, 3.5)
SHADOW, SHADOW_BLUR = 0.36, 1.8  # depth, and px
LAMP = (-0.6, -0.8)  # where the light comes from, as a direction in the picture
GLOSS, SHADE = 0.2, 0.2  # of the side towards the lamp, and of the other
BEVEL, BEVEL_WIDTH = 0.24, 3.0  # strength, and px from the edge


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


def falloff() -> Tensor:
    """Brightness (SIDE, SIDE) of a surface lit from above on the left: 1 at its brightest."""
    x, y = pixel_centres()
    return 1 - FALLOFF * ((x / SIDE - 0.35) ** 2 + (y / SIDE - 0.3) ** 2)


def background(tone: str, pattern: str) -> Tensor:
    """Picture (3, SIDE, SIDE) of the empty background."""
    first, second = (rgb(colour)[:, None, None] for colour in TONES[tone])
    return (first + (second - first) * pattern_mask(pattern)) * falloff()


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


def light(things: Sequence[Thing]) -> Tensor:
    """How much lighter than its colour each thing's surface is (N, SIDE, SIDE): from -1, black, to 1, white.

    It grows slowly across a thing towards the lamp; its edge is bevelled, and turns to where the distance grows.
    """
    px, py = pixel_centres()
    across = [((px - one.x) * LAMP[0] + (py - one.y) * LAMP[1]) / (1.2 * one.radius) for one in things]
    flat = torch.stack(across).clamp(-1, 1)
    apart = thing_distance(things)
    down, right = torch.gradient(apart, dim=(1, 2))
    edge = (1 + apart / BEVEL_WIDTH).clamp(0, 1) * (right * LAMP[0] + down * LAMP[1])
    return (torch.where(flat > 0, GLOSS, SHADE) * flat + BEVEL * edge).clamp(-1, 1)


def paint(pictures: Tensor, things: Sequence[Thing]) -> Tensor:
    """One thing on each picture (N, 3, SIDE, SIDE): a soft shadow, then the shape in the lamp's light."""
    shadow = SHADOW * torch.sigmoid(-thing_distance(things, SHADOW_OFFSET) / SHADOW_BLUR)
    pictures = pictures * (1 - shadow[:, None])
    colour = torch.stack([rgb(COLOURS[thing.colour]) for thing in things])[:, :, None, None]
    change = light(things)[:, None]
    lit = colour + change.clamp(min=0) * (1 - colour) + change.clamp(max=0) * colour
    return torch.lerp(pictures, lit, coverage(things)[:, None])


def render(scenes: Sequence[Scene]) -> Tensor:
    """Pictures (N, 3, SIDE, SIDE) of scenes, in [0, 1]."""
    pictures = torch.stack([background(scene.tone, scene.pattern) for scene in scenes])
    for depth in range(max(len(scene.things) for scene in scenes)):
        rows = [row for row, scene in enumerate(scenes) if len(scene.things) > depth]
        pictures[rows] = paint(pictures[rows], [scenes[row].things[depth] for row in rows])
    return pictures
